import { randomUUID } from 'node:crypto';
import type { Tx } from '../db/database.ts';
import type { CompletionRow } from '../db/schema.ts';
import { keysOf, openRows, sealRow } from '../db/sealed-columns.ts';
import { nextChangeSeq } from '../db/user-row.ts';
import type { UserKeys } from '../sealing/user-keys.ts';
import { openCompletions } from './completions.ts';
import { type PreferencePair, preferencePairs, type RatedCompletion } from './preference-pairs.ts';

/** An input of a mode, by its `inputKey`. */
export type InputPlace = Pick<CompletionRow, 'userId' | 'mode' | 'inputSha256'>;

/** How pairs are made. */
export interface ReplaceOptions {
  readonly now: Date;
  /** Whether what the user wrote to the input is preferred to every completion of it. */
  readonly drafts: boolean;
  /** Their place in the user's order of changes; absent: a new one. */
  readonly seq?: number;
}

/** Ends the pairs of the input that its ratings and the user's own texts no longer make and adds those that they now make;
 *  both at one place in the user's order of changes. */
export async function replacePreferences(
  tx: Tx,
  place: InputPlace,
  { now, drafts, seq }: ReplaceOptions,
): Promise<void> {
  const keys = await keysOf(tx, place.userId);
  const completions = await completionsOf(tx, place, drafts);
  const wanted = preferencePairs(completions, drafts ? await ownTexts(tx, place) : []);
  const stored = await preferencesOf(tx, place);
  const ended = stored.filter((old) => !wanted.some((pair) => pair.sha256 === old.sha256));
  const added = wanted.filter((pair) => !stored.some((old) => old.sha256 === pair.sha256));
  if (ended.length + added.length === 0) return;
  const changeSeq = seq ?? (await nextChangeSeq(tx, place.userId));
  if (ended.length > 0) {
    await tx
      .updateTable('preferences')
      .set({ untilSeq: changeSeq, input: null, context: null, chosen: null, rejected: null })
      .where('userId', '=', place.userId)
      .where(
        'id',
        'in',
        ended.map(({ id }) => id),
      )
      .execute();
  }
  const rows = added.map((pair) => preferenceRow(keys, place, pair, { changeSeq, now }));
  if (rows.length > 0) await tx.insertInto('preferences').values(rows).execute();
}

/** The completions of the input: all of them, or those that were rated or preferred. */
async function completionsOf(
  tx: Tx,
  { userId, mode, inputSha256 }: InputPlace,
  all: boolean,
): Promise<readonly RatedCompletion[]> {
  const sameInput = tx
    .selectFrom('completions')
    .where('userId', '=', userId)
    .where('mode', '=', mode)
    .where('inputSha256', '=', inputSha256);
  const preferred = sameInput.select('preferredId').where('preferredId', 'is not', null);
  const rated = sameInput.where((eb) =>
    eb.or([eb('ratedAt', 'is not', null), eb('id', 'in', preferred)]),
  );
  return openCompletions(tx, userId, await (all ? sameInput : rated).selectAll().execute());
}

/** What the user wrote to the input: the targets of its examples. */
async function ownTexts(
  tx: Tx,
  { userId, mode, inputSha256 }: InputPlace,
): Promise<readonly string[]> {
  const rows = await tx
    .selectFrom('examples')
    .select(['id', 'target'])
    .where('userId', '=', userId)
    .where('mode', '=', mode)
    .where('inputSha256', '=', inputSha256)
    .where('untilSeq', 'is', null)
    .where('target', 'is not', null)
    .execute();
  const opened = await openRows(tx, 'examples', userId, rows);
  return opened.flatMap(({ target }) => target ?? []);
}

function preferencesOf(tx: Tx, { userId, mode, inputSha256 }: InputPlace) {
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
  keys: UserKeys,
  { userId, mode, inputSha256 }: InputPlace,
  { rejected, chosen, sha256 }: PreferencePair,
  { changeSeq, now }: { changeSeq: number; now: Date },
) {
  return sealRow(keys, 'preferences', {
    id: randomUUID(),
    ...{ userId, mode, inputSha256, chosen, sha256, changeSeq },
    completionId: rejected.id,
    adapterId: rejected.adapterId,
    input: rejected.input,
    context: rejected.context,
    rejected: rejected.text,
    createdAt: now,
  });
}
