// Brings a (user, mode)'s examples up to date with the changes since the last fold, and names the dataset they make.
// The work is in the number of changes, and for the name in that of the buckets they fall into.

import type { Db, Tx } from '../db/database.ts';
import type { DatasetRow } from '../db/schema.ts';
import { openRows } from '../db/sealed-columns.ts';
import { lockUser, nextChangeSeq } from '../db/user-row.ts';
import { judgingOf } from '../feedback/replace-preferences.ts';
import { canonicalJson } from '../lib/canonical-json.ts';
import { sha256 } from '../lib/sha256.ts';
import type { Mode } from '../modes/mode.ts';
import { MAX_INPUT_CHARACTERS, MAX_TARGET_CHARACTERS } from './core/clean.ts';
import { nameOfLists, partsSha256 } from './core/dataset-name.ts';
import { exampleBuckets } from './example-buckets.ts';
import { endAllVersions, type FoldPoint, remakeExamples } from './example-versions.ts';
import { judgeThumbsAnew, pairDrafts } from './fold-preferences.ts';

/** Changes folded in one transaction, during which the user can push nothing: what a first import is cut into. */
const CHANGES_PER_FOLD = 200;

/** Folds all the user's changes into the mode's dataset and returns it. */
export async function foldDataset(
  db: Db,
  userId: string,
  mode: Mode,
  now: Date,
): Promise<DatasetRow> {
  for (;;) {
    const folded = await db.transaction().execute(async (tx) => {
      const point = await openFold(tx, { userId, mode }, now);
      const isDone = await foldSomeChanges(point, now);
      return isDone ? nameDataset(point, now) : null;
    });
    if (folded !== null) return folded;
  }
}

/** Locks the user, so that no delete can pass a fold that still reads the record. A mode whose rules have changed starts
 *  again, at a place of its own in the order: older datasets keep saying what they contained. */
async function openFold(
  tx: Tx,
  { userId, mode }: Pick<FoldPoint, 'userId' | 'mode'>,
  now: Date,
): Promise<FoldPoint> {
  const { changeSeq } = await lockUser(tx, userId);
  const { thumbs } = judgingOf(mode);
  const shape = [mode.shapeSha256, MAX_INPUT_CHARACTERS, MAX_TARGET_CHARACTERS];
  const shapeSha256 = sha256(canonicalJson(thumbs ? [...shape, 'thumbs'] : shape));
  const key = { userId, mode: mode.key };
  await tx
    .insertInto('modeStates')
    .values({ ...key, shapeSha256 })
    .onConflict((conflict) => conflict.columns(['userId', 'mode']).doNothing())
    .execute();
  const state = await readState({ tx, userId, mode });
  if (state.shapeSha256 === shapeSha256) return { tx, userId, mode, seq: changeSeq };
  const point = { tx, userId, mode, seq: await nextChangeSeq(tx, userId) };
  await endAllVersions(point);
  await judgeThumbsAnew(point, now);
  await writeState(point, { foldedThrough: 0, shapeSha256 });
  return point;
}

/** Folds the oldest changes that are not folded yet; returns whether none is left. */
async function foldSomeChanges(point: FoldPoint, now: Date): Promise<boolean> {
  const { tx, userId, mode, seq } = point;
  const { foldedThrough } = await readState(point);
  const rows = await tx
    .selectFrom('records')
    .select(['source', 'recordId', 'data', 'deleted', 'changeSeq'])
    .where('userId', '=', userId)
    .where('source', 'in', mode.sources)
    .where('changeSeq', '>', foldedThrough)
    .orderBy('changeSeq')
    .limit(CHANGES_PER_FOLD)
    .execute();
  const changed = await openRows(tx, 'records', userId, rows);
  await remakeExamples(point, changed);
  if (mode.preferences.drafts) await pairDrafts(point, now);
  const isDone = changed.length < CHANGES_PER_FOLD;
  await writeState(point, { foldedThrough: isDone ? seq : (changed.at(-1)?.changeSeq ?? seq) });
  return isDone;
}

function readState({ tx, userId, mode }: Omit<FoldPoint, 'seq'>) {
  return tx
    .selectFrom('modeStates')
    .select(['foldedThrough', 'shapeSha256'])
    .where('userId', '=', userId)
    .where('mode', '=', mode.key)
    .executeTakeFirstOrThrow();
}

async function writeState(
  { tx, userId, mode }: FoldPoint,
  state: { foldedThrough: number; shapeSha256?: string },
): Promise<void> {
  await tx
    .updateTable('modeStates')
    .set(state)
    .where('userId', '=', userId)
    .where('mode', '=', mode.key)
    .execute();
}

async function nameDataset(point: FoldPoint, now: Date): Promise<DatasetRow> {
  const { tx, userId, mode, seq } = point;
  const examples = await exampleBuckets(point);
  const preferences = await tx
    .selectFrom('preferences')
    .select('sha256')
    .where('userId', '=', userId)
    .where('mode', '=', mode.key)
    .where('untilSeq', 'is', null)
    .execute();
  const content = {
    sha256: nameOfLists(examples.sha256, partsSha256(preferences)),
    exampleCount: examples.count,
    preferenceCount: preferences.length,
  };
  // a forced run folds again where nothing has changed: the same place, the same content
  return tx
    .insertInto('datasets')
    .values({ userId, mode: mode.key, changeSeq: seq, createdAt: now, ...content })
    .onConflict((conflict) =>
      conflict.columns(['userId', 'mode', 'changeSeq']).doUpdateSet(content),
    )
    .returningAll()
    .executeTakeFirstOrThrow();
}
