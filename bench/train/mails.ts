// As many mails as a bench wants: the sample mailbox, and further ones made of two of its mails each.

import { readMailbox } from '../../demo/mailbox.ts';
import { must } from '../../src/lib/errors.ts';

/** One mail. */
export interface Mail {
  readonly recordId: string;
  readonly subject: string;
  readonly body: string;
}

/** The first `count` mails of an endless mailbox; about 100 tokens each with their prompt. */
export function manyMails(count: number): readonly Mail[] {
  const sample = readMailbox();
  return Array.from({ length: count }, (_, i) => {
    const { subject, body } = must(sample[i % sample.length], 'the mailbox is not empty').data;
    const round = Math.floor(i / sample.length);
    const recordId = `mail-${i}`;
    if (round === 0) return { recordId, subject, body };
    // the same matter once more, with a line of another mail: another prompt of much the same length
    const other = must(sample[(i * 7 + round) % sample.length], 'the mailbox is not empty').data;
    const lines = [body.split('\n')[0], `Again, no ${round}:`, ...other.body.split('\n').slice(1)];
    return { recordId, subject: other.subject, body: lines.join('\n') };
  });
}
