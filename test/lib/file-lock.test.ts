import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { holding, tryFileLock, waitForFileLock } from '../../src/lib/file-lock.ts';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-lock-'));
  path = join(folder, 'sub', 'lock');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a lock is held by one caller at a time, in one process too', async () => {
  const first = await tryFileLock(path);
  expect(await tryFileLock(path)).toBeNull();
  await first?.release();
  const second = await tryFileLock(path);
  expect(second).not.toBeNull();
  await second?.release();
});

test('a waiting caller gets the lock when its holder lets go', async () => {
  const first = await tryFileLock(path);
  const waiting = waitForFileLock(path, systemClock);
  await first?.release();
  await (await waiting).release();
});

test('a lock is given back when what was done under it fails', async () => {
  const failing = holding(await waitForFileLock(path, systemClock), () =>
    Promise.reject(new Error('no')),
  );
  await expect(failing).rejects.toThrow('no');
  expect(
    await holding(await waitForFileLock(path, systemClock), () => Promise.resolve('free')),
  ).toBe('free');
});

test('waiting ends with the reason of the signal', async () => {
  const first = await tryFileLock(path);
  const stop = new AbortController();
  const waiting = waitForFileLock(path, systemClock, stop.signal);
  stop.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  await first?.release();
});

test('a process killed with -9 holds no lock', async () => {
  const holder = spawn(process.execPath, [
    '--import',
    'tsx',
    '--input-type=module',
    '-e',
    `import { tryFileLock } from ${JSON.stringify(new URL('../../src/lib/file-lock.ts', import.meta.url).href)};
     const lock = await tryFileLock(${JSON.stringify(path)});
     console.log(lock === null ? 'refused' : 'held');
     setInterval(() => {}, 1000);`,
  ]);
  const [said] = await once(holder.stdout, 'data');
  expect(String(said).trim()).toBe('held');
  expect(await tryFileLock(path)).toBeNull();
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  const lock = await tryFileLock(path);
  expect(lock).not.toBeNull();
  await lock?.release();
});
