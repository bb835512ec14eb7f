import type { Db } from '../../src/db/database.ts';
import { dumpRows } from '../../src/db/dump.ts';

/** Every row of the database's tables as text, in one order, but for what the users' feeds are called: a restored feed has a new name. */
export async function rowsOf(db: Db): Promise<readonly string[]> {
  const lines: string[] = [];
  await dumpRows(db, (rows) => {
    const ours = rows.filter(({ table }) => table !== 'migrations');
    lines.push(...ours.map(({ table, json }) => `${table} ${withoutEpoch(json)}`));
    return Promise.resolve();
  });
  return lines.sort();
}

/** What each user's feed is called, in one order. */
export async function feedEpochs(db: Db): Promise<readonly string[]> {
  const users = await db.selectFrom('users').select('feedEpoch').orderBy('id').execute();
  return users.map(({ feedEpoch }) => feedEpoch);
}

function withoutEpoch(json: string): string {
  return json.replace(/"feed_epoch": ?"[^"]*"/, '"feed_epoch": "-"');
}
