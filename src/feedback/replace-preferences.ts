import { randomUUID } from 'node:crypto';
import type { Tx } from '../db/database.ts';
import type { CompletionRow } from '../db/schema.ts';
import { keysOf, openRows, sealRow } from '../db/sealed-columns.ts';
import { nextChangeSeq } from '../db/user-row.ts';
import type { Mode } from '../modes/mode.ts';
import type { UserKeys } from '../sealing/user-keys.ts';
import { openCompletions } from './completions.ts';
import { loneThumbs, preferencePairs, type RatedCompletion } from './preference-pairs.ts';

/** An input of a mode, by its `inputKey`. */
export type InputPlace = Pick<CompletionRow, 'userId' | 'mode' | 'inputSha256'>;

/** What a mode makes of completions. */
export interface Judging {
  /** Whether what the user wrote to the input is preferred to every completion of it. */
  readonly drafts: boolean;
  /** Whether a thumb counts that is in no pair. */
  readonly thumbs: boolean;
}

/** What the mode makes of completions; only who learns preferences can learn from a lone thumb. */
export function judgingOf({
  objective,
  preferences,
}: Pick<Mode, 'objective' | 'preferences'>): Judging {
  const { drafts, thumbs } = preferences;
  return { drafts, thumbs: thumbs && objective !== 'SFT' };
}

/** How preferences are made. */
export interface ReplaceOptions extends Judging {
  readonly now: Date;
  /** Their place in the user's order of changes; absent: a new one. */
  readonly seq?: number;
}

/** Ends the pairs and lone thumbs of the input that its ratings and the user's own texts no longer make and adds those that
 *  they now make; both at one place in the user's order of changes. */
export async function replacePreferences(
  tx: Tx,
  place: InputPlace,
  { now, seq, ...judging }: ReplaceOptions,
): Promise<void> {
  const keys = await keysOf(tx, place.userId);
  const wanted = await judgementsOf(tx, place, judging);
  const stored = await preferencesOf(tx, place);
  const ended = stored.filter((old) => !wanted.some((one) => one.sha256 === old.sha256));
  const added = wanted.filter((one) => !stored.some((old) => old.sha256 === one.sha256));
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
  const rows = added.map((one) => preferenceRow(keys, place, one, { changeSeq, now }));
  if (rows.length > 0) await tx.insertInto('preferences').values(rows).execute();
}

/** A row to be: one side is null where a thumb is alone. */
interface Judgement {
  readonly completion: RatedCompletion;
  readonly chosen: string | null;
  readonly rejected: string | null;
  readonly sha256: string;
}

async function judgementsOf(
  tx: Tx,
  place: InputPlace,
  { drafts, thumbs }: Judging,
): Promise<readonly Judgement[]> {
  const completions = await completionsOf(tx, place, drafts);
  const pairs = preferencePairs(completions, drafts ? await ownTexts(tx, place) : []);
  const lone = thumbs ? loneThumbs(completions, pairs) : [];
  return [
    ...pairs.map(({ chosen, rejected, sha256 }) => ({
      ...{ completion: rejected, chosen, rejected: rejected.text, sha256 },
    })),
    ...lone.map(({ completion, isGood, sha256 }) => ({
      ...{ completion, sha256 },
      chosen: isGood ? completion.text : null,
      rejected: isGood ? null : completion.text,
    })),
  ];
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
  { completion, chosen, rejected, sha256 }: Judgement,
  { changeSeq, now }: { changeSeq: number; now: Date },
) {
  return sealRow(keys, 'preferences', {
    id: randomUUID(),
    ...{ userId, mode, inputSha256, chosen, rejected, sha256, changeSeq },
    completionId: completion.id,
    adapterId: completion.adapterId,
    input: completion.input,
    context: completion.context,
    createdAt: now,
  });
}
