import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import { newDataFolder } from '../support/servers/databases.ts';

const PUSHER = fileURLToPath(new URL('push-until-killed.ts', import.meta.url));

let dataDir: string;
beforeEach(async () => {
  dataDir = await newDataFolder();
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

function startPusher(): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', PUSHER, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Lets the process push, kills it after `pushes` acknowledgements, and returns the last one that it heard. */
async function killAfter(pushes: number): Promise<number> {
  const child = startPusher();
  const exited = once(child, 'exit');
  let heard = 0;
  let acknowledged = 0;
  for await (const line of createInterface({ input: child.stdout ?? process.stdin })) {
    acknowledged = Number(line);
    heard += 1;
    if (heard === pushes) child.kill('SIGKILL');
  }
  await exited;
  return acknowledged;
}

it('keeps every acknowledged change of a process that is killed at any moment', async () => {
  let acknowledged = 0;
  for (const pushes of [1, 7, 30, 12]) acknowledged = await killAfter(pushes);
  const database = await openDatabase({ dataDir });
  const records = await database.kysely
    .selectFrom('records')
    .selectAll()
    .orderBy('changeSeq')
    .execute();
  const device = await database.kysely.selectFrom('devices').selectAll().executeTakeFirst();
  const user = await database.kysely.selectFrom('users').selectAll().executeTakeFirst();
  await database.close();
  // the last push may have been committed without anybody hearing of it
  expect(records.length).toBeGreaterThanOrEqual(acknowledged);
  expect(records.map(({ recordId }) => recordId)).toEqual(
    Array.from({ length: records.length }, (_, n) => `m${n + 1}`),
  );
  expect(device?.lastMutationId).toBe(records.length);
  expect(user?.changeSeq).toBe(records.length);
});

it('lets nobody else open the folder, names it and its holder, and lets go on closing', async () => {
  const database = await openDatabase({ dataDir });
  const holder = `${dataDir} is in use by process ${process.pid}`;
  await expect(openDatabase({ dataDir })).rejects.toThrow(holder);
  await database.close();
  await (await openDatabase({ dataDir })).close();
});

it('lets nobody else open the folder while another process has it', async () => {
  const child = startPusher();
  await once(child.stdout ?? process.stdin, 'data');
  await expect(openDatabase({ dataDir })).rejects.toThrow(`in use by process ${child.pid}`);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await (await openDatabase({ dataDir })).close();
});

it('starts over when an earlier first start was killed half-way', async () => {
  const fresh = await mkdtemp(join(tmpdir(), 'attune-fresh-'));
  await mkdir(join(fresh, 'pg.unfinished', 'base'), { recursive: true });
  await writeFile(join(fresh, 'pg.unfinished', 'PG_VERSION'), '18');
  const database = await openDatabase({ dataDir: fresh });
  expect(await database.kysely.selectFrom('users').selectAll().execute()).toEqual([]);
  await database.close();
  expect((await readdir(fresh)).sort()).toEqual(['lock', 'pg']);
  await rm(fresh, { recursive: true });
});

it('says which folder it is that cannot be opened', async () => {
  await rm(join(dataDir, 'pg', 'global'), { recursive: true });
  await expect(openDatabase({ dataDir })).rejects.toThrow(
    `cannot open the database in ${dataDir}/pg`,
  );
});
