// What a fold does with ratings: makes preferences anew where the mode or the user's own texts changed.

import { judgingOf, replacePreferences } from '../feedback/replace-preferences.ts';
import type { FoldPoint } from './example-versions.ts';

/** Thumbs that were given before the mode's file said otherwise of them. */
export async function judgeThumbsAnew(
  { tx, userId, mode, seq }: FoldPoint,
  now: Date,
): Promise<void> {
  const inputs = await tx
    .selectFrom('completions')
    .select('inputSha256')
    .distinct()
    .where('userId', '=', userId)
    .where('mode', '=', mode.key)
    .where('verdict', 'is not', null)
    .where('inputSha256', '<>', '')
    .execute();
  for (const { inputSha256 } of inputs) {
    const place = { userId, mode: mode.key, inputSha256 };
    await replacePreferences(tx, place, { now, seq, ...judgingOf(mode) });
  }
}

/** Prefers what the user wrote to the completions of the same input, where one of its examples came or went. */
export async function pairDrafts({ tx, userId, mode, seq }: FoldPoint, now: Date): Promise<void> {
  const inputs = await tx
    .selectFrom('examples')
    .innerJoin('completions', (join) =>
      join
        .onRef('completions.userId', '=', 'examples.userId')
        .onRef('completions.mode', '=', 'examples.mode')
        .onRef('completions.inputSha256', '=', 'examples.inputSha256'),
    )
    .select('examples.inputSha256')
    .distinct()
    .where('examples.userId', '=', userId)
    .where('examples.mode', '=', mode.key)
    .where('examples.inputSha256', '<>', '')
    .where((eb) => eb.or([eb('fromSeq', '=', seq), eb('untilSeq', '=', seq)]))
    .execute();
  for (const { inputSha256 } of inputs) {
    const place = { userId, mode: mode.key, inputSha256 };
    await replacePreferences(tx, place, { now, seq, ...judgingOf(mode) });
  }
}
