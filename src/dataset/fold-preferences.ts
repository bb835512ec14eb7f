// What a fold does with ratings: makes preferences anew where the mode or the user's own texts changed, and counts them.

import { sql } from 'kysely';
import type { Split } from '../db/dataset-tables.ts';
import { openRows } from '../db/sealed-columns.ts';
import { judgingOf, replacePreferences } from '../feedback/replace-preferences.ts';
import { must } from '../lib/errors.ts';
import { inputKey } from '../modes/prompt.ts';
import { splitOfInput } from './core/split.ts';
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

/** The preferences of each part that can be learnt from, or measured by: see FoldedDataset. None in a mode that learns none. */
export async function countPairs({
  tx,
  userId,
  mode,
}: Pick<FoldPoint, 'tx' | 'userId' | 'mode'>): Promise<Readonly<Record<Split, number>>> {
  if (mode.objective === 'SFT') return { train: 0, validation: 0, holdout: 0 };
  const rows = await tx
    .selectFrom('preferences')
    .select(['id', 'input'])
    .select([
      sql<boolean>`chosen is not null`.as('hasChosen'),
      sql<boolean>`rejected is not null`.as('hasRejected'),
    ])
    .where('userId', '=', userId)
    .where('mode', '=', mode.key)
    .where('untilSeq', 'is', null)
    .execute();
  const opened = (await openRows(tx, 'preferences', userId, rows)).map((row) => ({
    ...row,
    split: splitOfInput(inputKey(must(row.input, 'a preference has an input while it is alive'))),
  }));
  const countIn = (part: Split) => opened.filter(({ split }) => split === part).length;
  const heldOut = opened.filter(({ split }) => split === 'holdout');
  const pairs = heldOut.filter((row) => row.hasChosen && row.hasRejected).length;
  const good = heldOut.filter((row) => !row.hasRejected).length;
  const bad = heldOut.filter((row) => !row.hasChosen).length;
  return {
    train: countIn('train'),
    validation: countIn('validation'),
    holdout: pairs + Math.min(good, bad),
  };
}
