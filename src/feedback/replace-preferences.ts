import type { Tx } from '../db/database.ts';
import type { CompletionRow } from '../db/schema.ts';
import { nextChangeSeq } from '../db/user-row.ts';
import { type PreferencePair, preferencePairs, type RatedCompletion } from './preference-pairs.ts';

/** Ends the pairs of the completion's input that its ratings no longer make and adds those that they now make; both at
 *  one new place in the user's order of changes. */
export async function replacePreferences(
  tx: Tx,
  completion: CompletionRow,
  now: Date,
): Promise<void> {
  const wanted = preferencePairs(await ratedCompletions(tx, completion));
  const stored = await preferencesOf(tx, completion);
  const ended = stored.filter((old) => !wanted.some((pair) => pair.sha256 === old.sha256));
  const added = wanted.filter((pair) => !stored.some((old) => old.sha256 === pair.sha256));
  if (ended.length + added.length === 0) return;
  const changeSeq = await nextChangeSeq(tx, completion.userId);
  if (ended.length > 0) {
    await tx
      .updateTable('preferences')
      .set({ untilSeq: changeSeq, input: null, context: null, chosen: null, rejected: null })
      .where('userId', '=', completion.userId)
      .where(
        'id',
        'in',
        ended.map(({ id }) => id),
      )
      .execute();
  }
  const rows = added.map((pair) => preferenceRow(completion, pair, { changeSeq, now }));
  if (rows.length > 0) await tx.insertInto('preferences').values(rows).execute();
}

/** The completions of the same input that were rated or preferred. */
function ratedCompletions(tx: Tx, completion: CompletionRow): Promise<readonly RatedCompletion[]> {
  const sameInput = tx
    .selectFrom('completions')
    .where('userId', '=', completion.userId)
    .where('mode', '=', completion.mode)
    .where('inputSha256', '=', completion.inputSha256);
  const preferred = sameInput.select('preferredId').where('preferredId', 'is not', null);
  return sameInput
    .selectAll()
    .where((eb) => eb.or([eb('ratedAt', 'is not', null), eb('id', 'in', preferred)]))
    .execute();
}

function preferencesOf(tx: Tx, { userId, mode, inputSha256 }: CompletionRow) {
  return tx
    .selectFrom('preferences')
    .select(['id', 'sha256'])
    .where('userId', '=', userId)
    .where('mode', '=', mode)
    .where('inputSha256', '=', inputSha256)
    .where('untilSeq', 'is', null)
    .execute();
}

function preferenceRow(
  { userId, mode, inputSha256 }: CompletionRow,
  { rejected, chosen, sha256 }: PreferencePair,
  { changeSeq, now }: { changeSeq: number; now: Date },
) {
  return {
    ...{ userId, mode, inputSha256, chosen, sha256, changeSeq },
    completionId: rejected.id,
    adapterId: rejected.adapterId,
    input: JSON.stringify(rejected.input),
    context: JSON.stringify(rejected.context),
    rejected: rejected.text,
    createdAt: now,
  };
}
