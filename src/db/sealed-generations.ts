// Which data keys the database needs: a sealed value begins with its key's generation.

import { sql } from 'kysely';
import type { Tx } from './database.ts';
import { SEALED_TABLES } from './sealed-columns.ts';

/** A user's data key that something is sealed with. */
export interface KeyInUse {
  readonly userId: string;
  readonly generation: number;
}

/** The data keys without which not all values open; reads every sealed table. */
export async function keysInUse(tx: Tx): Promise<readonly KeyInUse[]> {
  const found: KeyInUse[] = [];
  for (const [table, { columns }] of Object.entries(SEALED_TABLES))
    for (const column of columns) {
      const { rows } = await sql<{ userId: string; head: string }>`
        select distinct user_id, encode(substring(${sql.ref(column)} from 1 for 4), 'hex') as head
        from ${sql.table(table)} where ${sql.ref(column)} is not null`.execute(tx);
      for (const { userId, head } of rows)
        found.push({ userId, generation: Number.parseInt(head, 16) });
    }
  return found;
}
