/** What a bookbinder tells a customer. */
export interface Notice {
  readonly body: string;
  /** As the sample mailbox's owner would have it: in the form of her other subjects, with what no mail of hers shows. */
  readonly subject: string;
}

const ITEMS = ['dictionary', 'family bible', 'stamp album', 'logbook'];
const STATES = ['is ready', 'needs a new spine', 'will be late', 'is in the press'];

/** Notices of a kind that the mailbox has none of; the last four are about something that the others do not name. */
export const notices: readonly Notice[] = ITEMS.flatMap((item) =>
  STATES.map((state) => ({
    body: `Dear customer,\nthe ${item} that we have of yours ${state}.\nSorrel Bookbinding`,
    subject: `customer -> ${item} ${state}, fyi`,
  })),
);
