import type { KyselyPlugin } from 'kysely';
import type { Db } from '../../src/db/database.ts';

/** The same database, and how many rows each of its queries has answered since. */
export function countingRows(db: Db): { readonly db: Db; readonly counts: number[] } {
  const counts: number[] = [];
  const plugin: KyselyPlugin = {
    transformQuery: ({ node }) => node,
    transformResult: ({ result }) => {
      counts.push(result.rows.length);
      return Promise.resolve(result);
    },
  };
  return { db: db.withPlugin(plugin), counts };
}
