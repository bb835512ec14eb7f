import { sql } from 'kysely';
import type { Db } from '../db/database.ts';

/** Hashes of all examples and preferences of the (user, mode) that the dataset folded at `seq` contained. */
export async function hashesAt(
  db: Db,
  userId: string,
  mode: string,
  seq: number,
): Promise<ReadonlySet<string>> {
  const isAlive = (from: string) =>
    sql<boolean>`${sql.ref(from)} <= ${seq} and ${seq} < coalesce(until_seq, ${seq} + 1)`;
  const examples = await db
    .selectFrom('examples')
    .select('sha256')
    .where('userId', '=', userId)
    .where('mode', '=', mode)
    .where(isAlive('fromSeq'))
    .execute();
  const preferences = await db
    .selectFrom('preferences')
    .select('sha256')
    .where('userId', '=', userId)
    .where('mode', '=', mode)
    .where(isAlive('changeSeq'))
    .execute();
  return new Set([...examples, ...preferences].map(({ sha256 }) => sha256));
}
