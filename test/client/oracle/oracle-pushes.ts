// What becomes of changes, in memory: numbered by device, answered once, in one order for the user.

import { canonicalJson, type Json } from '../../../src/lib/canonical-json.ts';
import type { ChangeAnswer, ChangeMessage, PushAnswer } from '../../../src/sync/protocol.ts';
import type { OracleDevice } from './oracle-files.ts';

interface Push {
  readonly deviceId: string;
  readonly changes: readonly (ChangeMessage & { readonly mutationId: number })[];
}

export class OraclePushes {
  /** recordIds in the order in which their changes were applied, by device. */
  readonly applied: { deviceId: string; recordId: string }[] = [];
  /** Of all changes that arrived, whatever became of them. */
  readonly sources = new Set<string>();

  take({ answers }: OracleDevice, input: Push): PushAnswer {
    const first = input.changes[0]?.mutationId ?? answers.length + 1;
    if (first > answers.length + 1) {
      return { __typename: 'PushGap', expectedMutationId: answers.length + 1 };
    }
    const results = input.changes.map(({ mutationId, ...change }) => {
      this.sources.add(change.source);
      const payload = canonicalJson(change as unknown as Json);
      const seen = answers[mutationId - 1];
      if (seen?.payload === payload) return { ...seen.answer, outcome: 'DUPLICATE' as const };
      if (seen) return rejected(mutationId, 'CONFLICT');
      const isBad = change.source === 'unknown';
      const answer = isBad ? rejected(mutationId, 'unknown source') : this.#apply(input, change);
      answers.push({ payload, answer: { ...answer, mutationId } });
      return { ...answer, mutationId };
    });
    return { __typename: 'PushAccepted', results, lastMutationId: answers.length };
  }

  #apply({ deviceId }: Push, { recordId }: ChangeMessage): ChangeAnswer {
    this.applied.push({ deviceId, recordId });
    return { mutationId: 0, outcome: 'APPLIED', reason: null, changeSeq: this.applied.length };
  }
}

function rejected(mutationId: number, reason: string): ChangeAnswer {
  return { mutationId, outcome: 'REJECTED', reason, changeSeq: null };
}
