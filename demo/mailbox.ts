import { readFileSync } from 'node:fs';

/** A record of the sample mailbox in `examples/`. */
export interface SampleMail {
  readonly recordId: string;
  readonly source: string;
  readonly occurredAt: string;
  readonly data: {
    readonly to: readonly string[];
    readonly subject: string;
    readonly body: string;
  };
}

/** Reads `examples/mailbox.jsonl`. */
export function readMailbox(): readonly SampleMail[] {
  const text = readFileSync(new URL('../examples/mailbox.jsonl', import.meta.url), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as SampleMail);
}
