import { sql } from 'kysely';
import type { Database } from './database.ts';

/** Clears away dead rows, and counts what the planner of statements must know. PostgreSQL does so by itself (autovacuum); the
 *  built-in database has nobody else for it, and without the counts reads a user's whole history to find one record. */
export async function tidyBuiltIn({
  kind,
  kysely,
}: Pick<Database, 'kind' | 'kysely'>): Promise<void> {
  if (kind === 'pglite') await sql`vacuum (analyze)`.execute(kysely);
}
