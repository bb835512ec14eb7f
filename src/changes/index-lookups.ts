import type { Db } from '../db/database.ts';
import { readFact, writeFact } from '../db/facts.ts';
import { keysOf, openRows } from '../db/sealed-columns.ts';
import { lockUser } from '../db/user-row.ts';
import type { SourceCatalog } from './change.ts';
import { writeLookups } from './write-lookups.ts';

const FACT = 'lookup-fields';
/** Records indexed in one transaction. */
const BATCH = 500;

/** Records lie sealed, so what modes look for is kept beside them. Where the modes look for other fields than when the
 *  records were written, this makes it anew; it does nothing otherwise. */
export async function indexLookups(db: Db, catalog: SourceCatalog): Promise<void> {
  const wanted = JSON.stringify(
    catalog.sources.map((source) => [source, catalog.lookupFields(source)]),
  );
  if ((await readFact(db, FACT)) === wanted) return;
  const sources = catalog.sources.filter((source) => catalog.lookupFields(source).length > 0);
  const users = await db.selectFrom('users').select('id').where('erasedAt', 'is', null).execute();
  for (const { id } of users)
    for (const source of sources) await indexSource(db, catalog, { userId: id, source });
  await writeFact(db, FACT, wanted);
}

async function indexSource(
  db: Db,
  { lookupFields }: SourceCatalog,
  { userId, source }: { userId: string; source: string },
): Promise<void> {
  for (let after = -1, isDone = false; !isDone; ) {
    const last = await db.transaction().execute(async (tx) => {
      await lockUser(tx, userId);
      const rows = await tx
        .selectFrom('records')
        .select(['userId', 'source', 'recordId', 'data', 'changeSeq'])
        .where('userId', '=', userId)
        .where('source', '=', source)
        .where('changeSeq', '>', after)
        .orderBy('changeSeq')
        .limit(BATCH)
        .execute();
      const states = await openRows(tx, 'records', userId, rows);
      await writeLookups(tx, await keysOf(tx, userId), { userId, states, lookupFields });
      return rows.at(-1)?.changeSeq;
    });
    isDone = last === undefined;
    after = last ?? after;
  }
}
