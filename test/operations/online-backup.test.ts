// A backup of the built-in database while a server has it and a device pushes, read into an empty place.

import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readMailbox } from '../../demo/mailbox.ts';
import { Phone } from '../../demo/phone.ts';
import { issueToken } from '../../src/auth/tokens.ts';
import { type Config, readConfig } from '../../src/config.ts';
import { lockDataFolder } from '../../src/db/data-folder-lock.ts';
import { openDatabase } from '../../src/db/database.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import { perform, restoreBackup } from '../../src/operations/operate.ts';
import { type App, startApp } from '../../src/start/app.ts';
import { rowsOf } from '../support/rows-of.ts';
import { newDataFolder } from '../support/servers/databases.ts';

let folder: string;
const places: string[] = [];
let config: Config;
let app: App;
let phone: Phone;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-online-'));
  config = await newPlace();
  const options = { logger: pino({ level: 'silent' }), trains: false };
  app = await startApp(config, { ...options, signal: new AbortController().signal });
  const token = await issueToken(config.dataDir, 'ann', systemClock);
  phone = new Phone({ url: app.url, token }, 'phone');
  await phone.register('Phone');
});
afterAll(async () => {
  await phone.close();
  await app.close();
  for (const place of [folder, ...places]) await rm(place, { recursive: true });
});

/** Settings of an empty place, with its own keys or those of another one. */
async function newPlace(keysOf?: Config): Promise<Config> {
  const dataDir = await newDataFolder();
  places.push(dataDir);
  const dirs = { dataDir, keysDir: keysOf?.dataDir ?? dataDir, cacheDir: join(folder, 'cache') };
  return readConfig({ ...dirs, model: 'tiny', modes: 'subject', port: '0' }, {});
}

it('is of one moment, has all that was accepted before, and keeps nobody from pushing', async () => {
  const mails = readMailbox().map((mail) => ({ ...mail, kind: 'UPSERT' as const }));
  const half = mails.length / 2;
  await phone.push(mails.slice(0, half));
  let isOver = false;
  const pushing = (async () => {
    for (let i = 0; !isOver || i < 3; i += 1) {
      const pair = mails
        .slice(half, half + 2)
        .map((mail) => ({ ...mail, recordId: `${mail.recordId}-${i}` }));
      await phone.push(pair);
    }
  })();
  const line = await perform(config, { name: 'backup', folder: join(folder, 'first') });
  isOver = true;
  await pushing;
  expect(line).toMatch(/^\d+ rows, 0 adapters\n$/);
  const restored = await restoredRows('first');
  const records = restored.filter((row) => row.startsWith('records '));
  const [user] = restored.filter((row) => row.startsWith('users '));
  const changes = JSON.parse(must(user, 'a user').slice('users '.length)).change_seq;
  // a push is there whole or not at all
  expect(records).toHaveLength(changes);
  expect(changes).toBeGreaterThanOrEqual(half);
  expect((changes - half) % 2).toBe(0);
});

it('is the same to the last row once nothing changes', async () => {
  await perform(config, { name: 'backup', folder: join(folder, 'second') });
  const users = await perform(config, { name: 'users' });
  const restored = await restoredRows('second');
  expect(users).toContain(`ann  1 devices  ${count(restored, 'records')} records  0 adapters`);
  await app.close();
  expect(restored).toEqual(await rowsIn(config));
});

it('says who has the folder where that is no server, also after one was killed', async () => {
  const lock = await lockDataFolder(config.dataDir);
  await expect(perform(config, { name: 'users' })).rejects.toThrow(
    `in use by process ${process.pid}`,
  );
  await lock.release();
});

it('fails with what went wrong at the server', async () => {
  const other = await newPlace();
  const server = await startApp(other, {
    ...{ logger: pino({ level: 'silent' }), trains: false },
    signal: new AbortController().signal,
  });
  try {
    const taken = join(folder, 'first');
    await expect(perform(other, { name: 'backup', folder: taken })).rejects.toThrow('EEXIST');
    expect((await stat(join(other.dataDir, 'control.json'))).mode & 0o077).toBe(0);
  } finally {
    await server.close();
  }
});

async function restoredRows(name: string): Promise<readonly string[]> {
  const place = await newPlace(config);
  await restoreBackup(place, join(folder, name));
  return rowsIn(place);
}

async function rowsIn({ dataDir }: Config): Promise<readonly string[]> {
  const database = await openDatabase({ dataDir });
  const rows = await rowsOf(database.kysely);
  await database.close();
  return rows;
}

function count(rows: readonly string[], table: string): number {
  return rows.filter((row) => row.startsWith(`${table} `)).length;
}
