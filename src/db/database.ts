// The one door to SQL: PGlite in the data folder by default, PostgreSQL by URL. Comes out migrated.

import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import {
  CamelCasePlugin,
  Kysely,
  PostgresDialect,
  type PostgresPool,
  sql,
  type Transaction,
} from 'kysely';
import pg from 'pg';
import { atMost, type Clock, systemClock } from '../lib/clock.ts';
import { StartError } from '../lib/start-error.ts';
import { folderVault, type Vault } from '../sealing/vault.ts';
import { lockDataFolder } from './data-folder-lock.ts';
import { type MigrationProgress, migrate, requireUpToDate } from './migrate.ts';
import { PglitePool } from './pglite-pool.ts';
import type { DatabaseSchema } from './schema.ts';
import { VaultPlugin } from './sealed-columns.ts';
import { ConnectionWatch } from './watched-client.ts';

/** Queries outside or inside a transaction. Inside a transaction use only the transaction: PGlite has one session, so
 *  another query would wait for its end, and its end for the query. */
export type Db = Kysely<DatabaseSchema>;

/** Queries that commit or roll back together. */
export type Tx = Transaction<DatabaseSchema>;

/** An open, migrated database. */
export interface Database {
  readonly kysely: Db;
  /** The connections under `kysely`, shaped as BullMQ wants them; its schema is on the search path. */
  readonly pool: PglitePool | pg.Pool;
  readonly kind: 'pglite' | 'postgres';
  /** Undefined for PGlite. */
  readonly databaseUrl: string | undefined;
  /** Ends all connections and gives the data folder back. Close queues and workers first. */
  close(): Promise<void>;
}

/** BullMQ's functions use unqualified names of its schema `bullmq`; ours come first. */
const SEARCH_PATH = '"$user", public, bullmq';

const INT8_OID = 20;

/** A transaction whose process has stopped, or cannot be reached, gives back what it has locked after this. */
const ABANDONED_MS = 15_000;
/** When PostgreSQL asks whether a quiet connection is still there, in seconds, and how often it asks in vain. */
const KEEPALIVE = { idle: 10, interval: 5, count: 3 };
/** How long connections may take to say goodbye. */
const GOODBYE_MS = 1_000;

/** Opens the database and brings its tables up to date. PGlite takes the data folder's lock first and throws
 *  DataFolderInUse when another process has it: two openers of one folder destroy its data.
 *  PGlite runs with fsync off: it survives kill -9, not power loss. */
export async function openDatabase(options: {
  dataDir: string;
  databaseUrl?: string | undefined;
  /** Opens what lies sealed (standard: with keys in the data folder). */
  vault?: Vault;
  /** Told how long each statement took. */
  onQuery?: QueryListener;
  /** Told how far migrations are. */
  onMigration?: (progress: MigrationProgress) => void;
  /** Whether tables that are not up to date are migrated; otherwise this throws StartError (standard: true). */
  migrates?: boolean;
  /** By which connections to PostgreSQL are given up that do not answer. */
  clock?: Clock;
}): Promise<Database> {
  const { dataDir, databaseUrl, onQuery = () => undefined, clock = systemClock } = options;
  const use = { onQuery, vault: options.vault ?? folderVault(dataDir) };
  if (databaseUrl === undefined) return bringUpToDate(await openPglite(dataDir, use), options);
  // changing tables takes its time
  const patient = await bringUpToDate(openPostgres(databaseUrl, use, null), options);
  await patient.close();
  return openPostgres(databaseUrl, use, new ConnectionWatch(clock));
}

async function bringUpToDate(
  database: Database,
  { migrates = true, onMigration }: Parameters<typeof openDatabase>[0],
): Promise<Database> {
  try {
    if (!migrates) await requireUpToDate(database.kysely);
    const made = await migrate(database.kysely, onMigration);
    const wasOpen = made.includes('0005-sealed') && !made.includes('0001-first-tables');
    if (wasOpen) await forgetOldPages(database);
  } catch (error) {
    await database.close();
    throw explain(error, database.databaseUrl);
  }
  return database;
}

/** What was written before lies on in pages that are not used any more, and in the write-ahead log. Whoever runs a PostgreSQL
 *  of their own decides about its log; docs/privacy.md says so. */
async function forgetOldPages({ kysely, kind }: Database): Promise<void> {
  const log = [
    'set wal_recycle = off',
    'select pg_switch_wal()',
    'checkpoint',
    'reset wal_recycle',
  ];
  const tables = 'devices, pushes, records, examples, example_lookups, completions, preferences';
  const statements = [`vacuum full ${tables}`, ...(kind === 'pglite' ? log : [])];
  for (const statement of statements) await sql.raw(statement).execute(kysely);
}

/** What the network and PostgreSQL say (codes of Node and of SQLSTATE) when the URL leads nowhere. */
const UNREACHABLE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'there is no such host',
  ETIMEDOUT: 'the host does not answer',
  '28P01': 'it does not take this user and password',
  '28000': 'it does not let this user in',
  '3D000': 'there is no such database; make it with createdb',
};

/** The error, or a StartError where the database could not be reached. */
function explain(error: unknown, databaseUrl: string | undefined): unknown {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const reason = UNREACHABLE[code];
  if (databaseUrl === undefined || reason === undefined) return error;
  const { host, pathname } = new URL(databaseUrl);
  const place = `PostgreSQL at ${host}${pathname}`;
  return new StartError(`Cannot use ${place}: ${reason}. Check DATABASE_URL.`, { cause: error });
}

type QueryListener = (ms: number) => void;

/** What comes with every query. */
interface Use {
  readonly onQuery: QueryListener;
  readonly vault: Vault;
}

async function openPglite(dataDir: string, use: Use): Promise<Database> {
  const lock = await lockDataFolder(dataDir);
  const folder = join(dataDir, 'pg');
  try {
    await initialise(folder);
    const pglite = await PGlite.create({ dataDir: folder, parsers: { [INT8_OID]: Number } });
    await pglite.exec(`set search_path to ${SEARCH_PATH}`);
    const pool = new PglitePool(pglite);
    const close = async () => {
      await pool.end();
      await lock.release();
    };
    return {
      kysely: newKysely(pool, use),
      pool,
      kind: 'pglite',
      databaseUrl: undefined,
      close,
    };
  } catch (error) {
    await lock.release();
    throw new Error(`cannot open the database in ${folder}`, { cause: error });
  }
}

/** Makes the folder whole or not at all: PGlite takes a half-made one, left by a process killed in its first start, for
 *  a database and fails for ever. */
async function initialise(folder: string): Promise<void> {
  if (existsSync(folder)) return;
  const unfinished = `${folder}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await (await PGlite.create(unfinished)).close();
  await rename(unfinished, folder);
}

/** Without a watch, a statement may take as long as it wants. */
function openPostgres(databaseUrl: string, use: Use, watch: ConnectionWatch | null): Database {
  const types = new pg.TypeOverrides();
  types.setTypeParser(INT8_OID, Number);
  const pool = new pg.Pool({
    ...{ connectionString: databaseUrl, types, keepAlive: true },
    options: sessionOptions(watch !== null),
    ...(watch !== null && { Client: watch.Client }),
  });
  // An idle connection that breaks is nobody's error: the pool replaces it, and the next query finds out if it cannot.
  pool.on('error', () => undefined);
  // One that breaks in use fails the query or transaction that uses it, and would end the process besides.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return {
    kysely: newKysely(pool, use),
    pool,
    kind: 'postgres',
    databaseUrl,
    close: async () => {
      const ended = pool.end();
      await atMost(systemClock, GOODBYE_MS, ended);
      watch?.close();
      await ended;
    },
  };
}

/** What every session of PostgreSQL begins with. */
function sessionOptions(isImpatient: boolean): string {
  const settings = {
    search_path: SEARCH_PATH.replaceAll(' ', ''),
    tcp_keepalives_idle: KEEPALIVE.idle,
    tcp_keepalives_interval: KEEPALIVE.interval,
    tcp_keepalives_count: KEEPALIVE.count,
    ...(isImpatient && { idle_in_transaction_session_timeout: ABANDONED_MS }),
  };
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}

/** Keys inside JSON values are the user's and stay as they are; only column names change case. */
function newKysely(pool: PglitePool | pg.Pool, { onQuery, vault }: Use): Db {
  // Kysely's type asks for cursors too, which only its stream() uses, and we never stream
  return new Kysely<DatabaseSchema>({
    dialect: new PostgresDialect({ pool: pool as PostgresPool }),
    log: ({ queryDurationMillis }) => onQuery(queryDurationMillis),
    plugins: [new CamelCasePlugin({ maintainNestedObjectKeys: true }), new VaultPlugin(vault)],
  });
}
