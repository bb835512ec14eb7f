// Who takes changes, and the changes that every side is given.

import type { Json } from '../../src/lib/canonical-json.ts';

/** Users who push at once. */
export const USERS = 8;
/** Changes that one of them sends at a time. */
export const BATCH = 100;

/** Somebody who takes batches of changes. */
export interface Side {
  /** Writes out a batch; what it gives sends it. */
  prepare(user: number, batch: number): () => Promise<unknown>;
  /** Processor time so far, in milliseconds. */
  serverMs(): Promise<number>;
  close(): Promise<unknown>;
}

/** A source, and what its records hold: mails ask for a run, contacts, which no enabled mode learns from, for none. */
export type Content = (place: string) => { readonly source: string; readonly data: Json };

/** Asks for runs of the mode that is served. */
export const mail: Content = (place) => ({
  source: 'mail.sent',
  data: {
    to: [],
    subject: `Boat ${place}`,
    body: 'It is out of the water and dry. Bring brushes!',
  },
});

/** Asks for none. */
export const contact: Content = (place) => ({
  source: 'contacts',
  data: { name: `Person ${place}`, email: `person-${place}@example.org` },
});

/** A batch of changes without their mutationIds. */
export function changesOf(content: Content, batch: number) {
  return Array.from({ length: BATCH }, (_, i) => ({
    ...content(`${batch}-${i}`),
    recordId: `record-${batch}-${i}`,
    kind: 'UPSERT' as const,
    occurredAt: '2026-01-01T00:00:00Z',
  }));
}
