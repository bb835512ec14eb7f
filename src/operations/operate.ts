// The commands of those who run a deployment, as lines to print. Each opens only what it needs.

import { mkdir, statfs } from 'node:fs/promises';
import { openStore } from '../adapters/open-store.ts';
import type { AdapterStore } from '../adapters/store.ts';
import { checkBlobs } from '../blobs/check-blobs.ts';
import { type BlobPlace, blobPlaceOf, type Config, vaultSettingsOf } from '../config.ts';
import { checkDatabase } from '../db/check-database.ts';
import { DataFolderInUse } from '../db/data-folder-lock.ts';
import { type Db, openDatabase } from '../db/database.ts';
import { vaultOf } from '../db/sealed-columns.ts';
import { systemClock } from '../lib/clock.ts';
import { checkRedis } from '../lib/redis-check.ts';
import { findBase } from '../model/base/base-install.ts';
import { loadCatalog } from '../modes/catalog.ts';
import { masterKeysOf, vaultFrom } from '../sealing/vault.ts';
import { restore } from './backup.ts';
import { type CommandName, copiedLine, linesOf, runCommand } from './commands.ts';
import { askHolder, type ControlCommand } from './control.ts';
import { diagnose } from './doctor.ts';
import { rotateDataKeys, rotateMasterKeys } from './rotate-keys.ts';

/** Below this adapters and databases soon have no room. */
const LITTLE_SPACE_BYTES = 2 ** 30;

/** A command that there is. */
export interface OperatorCommand extends ControlCommand {
  readonly name: CommandName;
}

/** Checks all that a start needs; whether all of it is well, and a line for each part. */
export async function doctor(config: Config): Promise<{ isWell: boolean; text: string }> {
  const { redisUrl } = config;
  const findings = await diagnose({
    node: () => Promise.resolve(process.version),
    modes: async () => {
      const { modes } = await loadCatalog(config.modesDir, { only: config.modes });
      return modes.map(({ key }) => key).join(', ');
    },
    'data folder': () => checkFolder(config.dataDir),
    adapters: () => checkBlobPlace(blobPlaceOf(config)),
    database: () => checkDatabase(config),
    ...(redisUrl !== undefined && { redis: () => checkRedis(redisUrl) }),
    'base model': () => checkBase(config),
  });
  return {
    isWell: findings.every(({ ok }) => ok),
    text: linesOf(findings.map(({ part, ok, detail }) => [ok ? 'ok' : 'FAULT', part, detail])),
  };
}

/** Runs the command on the database. Where another process has the built-in one, that process runs it, if it is a server;
 *  otherwise this throws who has the folder. */
export async function perform(config: Config, command: OperatorCommand): Promise<string> {
  try {
    return await withDatabase(config, (db) => {
      const lend = (use: StoreUse) => withStore(config, db, use);
      return runCommand({ db, clock: systemClock, withStore: lend }, command);
    });
  } catch (error) {
    if (!(error instanceof DataFolderInUse)) throw error;
    const text = await askHolder(config.dataDir, error.pid, command);
    if (text === null) throw error;
    return text;
  }
}

/** Brings the tables up to date, saying how far it is. */
export async function migrateDatabase(
  config: Config,
  print: (text: string) => void,
): Promise<void> {
  const { dataDir, databaseUrl } = config;
  const database = await openDatabase({
    ...{ dataDir, databaseUrl, vault: vaultFrom(vaultSettingsOf(config)) },
    onMigration: ({ name, ms }) => print(ms === null ? `${name} ...\n` : `${name}: ${ms} ms\n`),
  });
  await database.close();
  print('the tables are up to date\n');
}

/** Reads such a copy into an empty database and the adapters' folder. */
export function restoreBackup(config: Config, folder: string): Promise<string> {
  return withDatabase(config, (db) =>
    withStore(config, db, async (store) => copiedLine(await restore({ db, store }, folder))),
  );
}

/** Wraps the users' keys with a new master key, or with the one that is current elsewhere. */
export async function rotateMaster(config: Config): Promise<string> {
  const settings = vaultSettingsOf(config);
  const { keysDir, masterKeys: given, kms } = settings;
  const isOwn = given === undefined && kms === undefined;
  const keys = { vault: vaultFrom(settings), masterKeys: masterKeysOf(settings) };
  const { masterKeyId, users } = await rotateMasterKeys(keys, isOwn ? keysDir : null);
  return `${masterKeyId}: the keys of ${users} users are wrapped anew`;
}

/** Seals all users' data with new data keys. */
export function rotateData(config: Config): Promise<string> {
  const { keysDir } = vaultSettingsOf(config);
  return withDatabase(config, (db) =>
    withStore(config, db, async (store) => {
      const deps = { db, store, vault: vaultOf(db), keysDir, clock: systemClock };
      const { users, rows, adapters } = await rotateDataKeys(deps);
      return `${users} users, ${rows} rows, ${adapters} adapters are sealed with new keys`;
    }),
  );
}

async function withDatabase(config: Config, ask: (db: Db) => Promise<string>): Promise<string> {
  const { dataDir, databaseUrl } = config;
  const vault = vaultFrom(vaultSettingsOf(config));
  const database = await openDatabase({ dataDir, databaseUrl, vault });
  try {
    return await ask(database.kysely);
  } finally {
    await database.close();
  }
}

type StoreUse = (store: AdapterStore) => Promise<string>;

async function withStore(config: Config, db: Db, use: StoreUse): Promise<string> {
  const { store, blobs } = await openStore(blobPlaceOf(config), vaultOf(db));
  try {
    return await use(store);
  } finally {
    blobs?.close();
  }
}

function checkBlobPlace({ folder, remoteUrl }: BlobPlace): Promise<string> {
  return remoteUrl === undefined ? checkFolder(folder) : checkBlobs(remoteUrl);
}

async function checkFolder(path: string): Promise<string> {
  await mkdir(path, { recursive: true });
  const { bavail, bsize } = await statfs(path);
  const freeBytes = bavail * bsize;
  if (freeBytes < LITTLE_SPACE_BYTES)
    throw new Error(`${path} has only ${Math.floor(freeBytes / 2 ** 20)} MiB left: make room.`);
  return `${path}, ${Math.floor(freeBytes / 2 ** 30)} GiB free`;
}

async function checkBase({ model, cacheDir }: Config): Promise<string> {
  const base = await findBase({ model, cacheDir });
  return base === null ? `${model}: to be fetched at the first start` : base.name;
}
