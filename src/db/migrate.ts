import { type Kysely, type Migration, Migrator } from 'kysely';
import { StartError } from '../lib/start-error.ts';
import { firstTables } from './migrations/0001-first-tables.ts';
import { feedFloor } from './migrations/0002-feed-floor.ts';
import { lineage } from './migrations/0003-lineage.ts';
import { revokedDevices } from './migrations/0004-revoked-devices.ts';
import { sealed } from './migrations/0005-sealed.ts';
import { trace } from './migrations/0006-trace.ts';
import { pushes } from './migrations/0007-pushes.ts';
import { datasetNames } from './migrations/0008-dataset-names.ts';
import { pastInputs } from './migrations/0009-past-inputs.ts';
import type { DatabaseSchema } from './schema.ts';

/** Every migration under the name that the database remembers it by, in order. Never change one that was released. */
const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-first-tables': firstTables,
  '0002-feed-floor': feedFloor,
  '0003-lineage': lineage,
  '0004-revoked-devices': revokedDevices,
  '0005-sealed': sealed,
  '0006-trace': trace,
  '0007-pushes': pushes,
  '0008-dataset-names': datasetNames,
  '0009-past-inputs': pastInputs,
};

/** How far a migration is: `ms` is null when it begins, and what it took when it is done. */
export interface MigrationProgress {
  readonly name: string;
  readonly ms: number | null;
}

type Tell = (progress: MigrationProgress) => void;

/** Brings the tables up to date in one transaction; of two servers that start at once, one waits for the other.
 *  Returns the names of the migrations that were made now. Throws StartError when a newer Attune has changed them. */
export async function migrate(
  db: Kysely<DatabaseSchema>,
  tell: Tell = () => undefined,
): Promise<readonly string[]> {
  const { error, results } = await migratorOf(db, tell).migrateToLatest();
  if (error === undefined) return (results ?? []).map(({ migrationName }) => migrationName);
  await refuseNewer(db);
  const failed = results?.find(({ status }) => status === 'Error')?.migrationName ?? 'unknown';
  throw new Error(`cannot bring the database up to date (migration ${failed})`, { cause: error });
}

/** Throws StartError when the tables are not those of this Attune. */
export async function requireUpToDate(db: Kysely<DatabaseSchema>): Promise<void> {
  await refuseNewer(db);
  const migrations = await migratorOf(db, () => undefined).getMigrations();
  const missing = migrations.filter(({ executedAt }) => executedAt === undefined);
  if (missing.length === 0) return;
  const names = missing.map(({ name }) => name).join(', ');
  throw new StartError(`The database lacks ${names}: run attune migrate first.`);
}

/** Throws StartError when rows that were copied from tables with these migrations are not rows of our tables. */
export function requireOurMigrations(names: readonly string[]): void {
  const newer = names.filter((name) => !(name in MIGRATIONS));
  if (newer.length > 0)
    throw new StartError(
      `The backup was made by a newer Attune (${newer.join(', ')}): restore it with that one.`,
    );
  const missing = Object.keys(MIGRATIONS).filter((name) => !names.includes(name));
  if (missing.length > 0)
    throw new StartError(
      `The backup was made by an older Attune, whose tables lack ${missing.join(', ')}. Restore it with that Attune ` +
        `into an empty database, and start this one there: it brings the tables up to date.`,
    );
}

function migratorOf(db: Kysely<DatabaseSchema>, tell: Tell): Migrator {
  const watched = Object.entries(MIGRATIONS).map(([name, { up }]) => [
    name,
    { up: (tx: Kysely<unknown>) => timed(name, tell, () => up(tx)) },
  ]);
  const getMigrations = () => Promise.resolve(Object.fromEntries(watched));
  return new Migrator({ db, provider: { getMigrations } });
}

async function timed(name: string, tell: Tell, work: () => Promise<void>): Promise<void> {
  const startedAt = performance.now();
  tell({ name, ms: null });
  await work();
  tell({ name, ms: Math.round(performance.now() - startedAt) });
}

/** Kysely refuses a database with migrations that it does not know; this says what that means. */
async function refuseNewer(db: Kysely<DatabaseSchema>): Promise<void> {
  const done = await db
    .withTables<{ kyselyMigration: { name: string } }>()
    .selectFrom('kyselyMigration')
    .select('name')
    .execute()
    // no such table, or no database at all: then it is not newer
    .catch(() => []);
  const unknown = done.map(({ name }) => name).filter((name) => !(name in MIGRATIONS));
  if (unknown.length === 0) return;
  throw new StartError(
    `The database was brought up to date by a newer Attune (${unknown.join(', ')}), and this one knows ` +
      `nothing later than ${Object.keys(MIGRATIONS).at(-1)}. Start the newer Attune, or restore a backup from before.`,
  );
}
