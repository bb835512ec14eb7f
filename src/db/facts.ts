import type { Db } from './database.ts';

/** What the database says of itself under this key; null when nothing was recorded. */
export async function readFact(db: Db, key: string): Promise<string | null> {
  const fact = await db
    .selectFrom('facts')
    .select('value')
    .where('key', '=', key)
    .executeTakeFirst();
  return fact?.value ?? null;
}

/** Records a fact that never changes: the first writer wins, and everybody gets what is recorded. */
export async function recordFact(db: Db, key: string, value: string): Promise<string> {
  await db
    .insertInto('facts')
    .values({ key, value })
    .onConflict((conflict) => conflict.column('key').doNothing())
    .execute();
  const fact = await db
    .selectFrom('facts')
    .select('value')
    .where('key', '=', key)
    .executeTakeFirstOrThrow();
  return fact.value;
}

/** Records a fact that may change; the last writer wins. */
export async function writeFact(db: Db, key: string, value: string): Promise<void> {
  await db
    .insertInto('facts')
    .values({ key, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute();
}
