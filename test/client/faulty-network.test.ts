// Downloads from the real file server over a network that misbehaves: by the SDK, and by tools that know nothing of it.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Api, ApiError, errorOf } from '../../src/client/api.ts';
import { download } from '../../src/client/sync/download.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { downloads } from '../../src/sync/downloads.ts';
import { fullStore } from '../adapters/fixture.ts';
import { fastClock } from '../support/clocks/fast-clock.ts';
import { type Fault, type FaultProxy, startFaultProxy } from '../support/faults/fault-proxy.ts';
import { requireProgram, shouldRunWith } from '../support/servers/programs.ts';
import { MemoryDisk } from './storage/memory-disk.ts';

const CONTENT = randomBytes(1_000_000);
/** What may be on its way when a connection ends: the pieces in which Node hands on a body, and a head. */
const CHUNK_BYTES = 70_000;

const file = {
  name: 'weights.bin',
  url: `/models/${sha256('base')}/weights.bin`,
  sizeBytes: CONTENT.length,
  sha256: sha256(CONTENT),
};

let folder: string;
let server: Server;
/** The ranges that the server was asked for, in order. */
const asked: (string | null)[] = [];
let proxy: FaultProxy;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-network-'));
  await writeFile(join(folder, file.name), CONTENT);
  const base = { sha256: sha256('base'), dir: folder, files: [file] };
  const app = express();
  // the base is everybody's: no question goes to the database
  const unused = null as never;
  const authenticate = () => Promise.resolve({ id: 'ada' } as never);
  app.use((request, _response, next) => {
    asked.push(request.headers.range ?? null);
    next();
  });
  const trainingFiles = new Map();
  app.use(downloads({ db: unused, store: fullStore, base, trainingFiles, authenticate }));
  server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  proxy = await startFaultProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
afterEach(() => proxy.close());

describe('the SDK', () => {
  const newApi = () =>
    new Api({
      url: proxy.url.replace(/\/$/, ''),
      fetch,
      token: () => Promise.resolve('token'),
      // a stall of half a minute is noticed after a third of a second
      clock: fastClock(100),
    });

  /** Tries again until the file is there, with the next fault at each attempt; returns how many attempts it took. */
  const fetchFile = async (disk: MemoryDisk, faults: readonly Fault[]) => {
    const api = newApi();
    const { files } = disk.open();
    const run = () =>
      download({ api, files, onProgress: () => 0 }, file, new AbortController().signal);
    for (let attempt = 0; ; attempt += 1) {
      proxy.set(faults[attempt] ?? { kind: 'none' });
      try {
        await run();
        return attempt + 1;
      } catch (error) {
        expect(error).toBeInstanceOf(ApiError);
        proxy.cut();
      }
    }
  };

  it('gives up manifests and pieces of uploads on a connection that stands still (DEV-10)', async () => {
    const api = newApi();
    const { signal } = new AbortController();
    const lost = { code: 'OFFLINE', isRetryable: true };
    proxy.set({ kind: 'half-open' });
    await expect(api.find('/manifests/one', signal)).rejects.toMatchObject(lost);
    const piece = { method: 'PUT', body: new Uint8Array(9), signal };
    await expect(api.exchange('/uploads/one', piece, errorOf)).rejects.toMatchObject(lost);
    proxy.cut();
  });

  it.each<[string, readonly Fault[]]>([
    [
      'is cut again and again',
      [100_000, 1, 300_000, 250_000].map((afterBytes) => ({ kind: 'cut', afterBytes })),
    ],
    ['is reset', [{ kind: 'reset' }, { kind: 'cut', afterBytes: 500_000 }, { kind: 'reset' }]],
    ['stands still', [{ kind: 'cut', afterBytes: 400_000 }, { kind: 'half-open' }]],
    ['doubles what is sent', [{ kind: 'duplicate' }]],
    ['closes connections at once', [{ kind: 'refuse' }, { kind: 'refuse' }]],
  ])(
    'ends with the right bytes, and fetches none of them twice, when the network %s (DEV-6, DEV-7)',
    async (_, faults) => {
      const disk = new MemoryDisk();
      const attempts = await fetchFile(disk, faults);
      expect(CONTENT.equals(disk.content.get(file.sha256) ?? Buffer.of())).toBe(true);
      expect([...disk.content.keys()]).toEqual([file.sha256]);
      expect(proxy.answeredBytes - CONTENT.length).toBeLessThan(attempts * CHUNK_BYTES);
    },
  );
});

/** How each tool goes on with what is there of a file. */
const TOOLS = {
  curl: (to: string, url: string) => ['-sS', '--fail', '-C', '-', '-o', to, url],
  wget: (to: string, url: string) => ['-q', '-c', '--tries=1', '-O', to, url],
  aria2c: (to: string, url: string) => [
    ...['-q', '-c', '--max-tries=1', '--file-allocation=none', '--async-dns=false'],
    ...['--no-conf', '-d', folder, '-o', to.slice(folder.length + 1), url],
  ],
};

describe.each(Object.entries(TOOLS))('%s', (name, argumentsOf) => {
  it.skipIf(!shouldRunWith(name))('goes on where it broke off (DOWN-1, DOWN-2)', async () => {
    const to = join(folder, `${name}.bin`);
    const run = () =>
      new Promise<number>((resolve) => {
        const url = proxy.url.replace(/\/$/, '') + file.url;
        execFile(requireProgram(name), argumentsOf(to, url), (error) =>
          resolve(error === null ? 0 : Number(error.code ?? 1)),
        );
      });
    proxy.set({ kind: 'cut', afterBytes: 600_000 });
    expect(await run()).not.toBe(0);
    const have = (await readFile(to)).length;
    expect(have).toBeGreaterThan(100_000);
    proxy.set({ kind: 'none' });
    expect(await run()).toBe(0);
    expect(CONTENT.equals(await readFile(to))).toBe(true);
    // aria2 first asks anew for the length, and hangs up; it goes on at a multiple of its own blocks
    const start = Number(/^bytes=(\d+)-/.exec(asked.at(-1) ?? '')?.[1]);
    expect(start).toBeLessThanOrEqual(have);
    expect(start).toBeGreaterThan(have - CHUNK_BYTES);
  });
});
