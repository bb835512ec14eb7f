import type { Db } from '../db/database.ts';
import type { Mode } from '../modes/mode.ts';
import { EMPTY_DATASET_SHA256 } from './core/dataset-name.ts';

/** Every change of the user up to here is in the mode's live adapter or known not to matter for it. Where the user has
 *  no live adapter, only what teaches nothing does not matter. Read, not kept: publishing, rolling back and revoking
 *  change it by what they do. */
export async function upToDateThrough(db: Db, userId: string, mode: Mode): Promise<number> {
  // read first: a change that arrives meanwhile is then beyond it
  const { changeSeq } = await db
    .selectFrom('users')
    .select('changeSeq')
    .where('id', '=', userId)
    .executeTakeFirstOrThrow();
  const learnt = await learntThrough(db, userId, mode.key);
  return (await hasChangedSince(db, userId, mode, learnt)) ? learnt : changeSeq;
}

/** What the live adapter was trained on: the hash of its dataset. Null: no dataset of this server. */
export async function learntSha256(db: Db, userId: string, mode: string): Promise<string | null> {
  const live = await liveAdapter(db, userId, mode);
  return live === undefined ? EMPTY_DATASET_SHA256 : live.sha256;
}

/** The newest point at which the dataset was what the live adapter was trained on. */
async function learntThrough(db: Db, userId: string, mode: string): Promise<number> {
  const live = await liveAdapter(db, userId, mode);
  const { seq } = await db
    .selectFrom('datasets')
    .select(({ fn }) => fn.max('changeSeq').as('seq'))
    .where('userId', '=', userId)
    .where('mode', '=', mode)
    .where('sha256', '=', live === undefined ? EMPTY_DATASET_SHA256 : live.sha256)
    .executeTakeFirstOrThrow();
  return seq ?? live?.dataThrough ?? 0;
}

function liveAdapter(db: Db, userId: string, mode: string) {
  return db
    .selectFrom('adapters')
    .leftJoin('datasets', 'datasets.id', 'adapters.datasetId')
    .select(['datasets.sha256', 'adapters.dataThrough'])
    .where('adapters.userId', '=', userId)
    .where('adapters.mode', '=', mode)
    .where('adapters.status', '=', 'LIVE')
    .executeTakeFirst();
}

/** Whether a record of the mode's sources or a preference of the mode is newer than that. */
export async function hasChangedSince(
  db: Db,
  userId: string,
  mode: Mode,
  seq: number,
): Promise<boolean> {
  const record = await db
    .selectFrom('records')
    .select('id')
    .where('userId', '=', userId)
    .where('source', 'in', mode.sources)
    .where('changeSeq', '>', seq)
    .limit(1)
    .executeTakeFirst();
  if (record !== undefined) return true;
  const preference = await db
    .selectFrom('preferences')
    .select('id')
    .where('userId', '=', userId)
    .where('mode', '=', mode.key)
    .where((eb) => eb.or([eb('changeSeq', '>', seq), eb('untilSeq', '>', seq)]))
    .limit(1)
    .executeTakeFirst();
  return preference !== undefined;
}
