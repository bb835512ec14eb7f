import { type Kysely, Migrator } from 'kysely';
import { firstTables } from './migrations/0001-first-tables.ts';
import type { DatabaseSchema } from './schema.ts';

/** Every migration under the name that the database remembers it by, in order. Never change one that was released. */
const MIGRATIONS = { '0001-first-tables': firstTables };

/** Brings the tables up to date in one transaction; of two servers that start at once, one waits for the other. */
export async function migrate(db: Kysely<DatabaseSchema>): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve(MIGRATIONS) },
  });
  const { error, results } = await migrator.migrateToLatest();
  if (error === undefined) return;
  const failed = results?.find(({ status }) => status === 'Error')?.migrationName ?? 'unknown';
  throw new Error(`cannot bring the database up to date (migration ${failed})`, { cause: error });
}
