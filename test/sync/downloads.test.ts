import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express, { type NextFunction, type Request, type Response } from 'express';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { publishAdapter, recordRejected } from '../../src/adapters/publish.ts';
import { registerShipped } from '../../src/adapters/shipped.ts';
import {
  type AdapterStore,
  openAdapterStore,
  type StoredAdapter,
} from '../../src/adapters/store.ts';
import { ensureUser } from '../../src/changes/users.ts';
import { vaultOf } from '../../src/db/sealed-columns.ts';
import { AppError, ERROR_CODES } from '../../src/lib/errors.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { downloads } from '../../src/sync/downloads.ts';
import { candidateOf } from '../adapters/fixture.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { newSubscriber } from './fixture.ts';

const TENSORS = 'adapter_model.safetensors';

describeWithDatabase('downloads', (database) => {
  let dir: string;
  let store: AdapterStore;
  let server: Server;
  let origin: string;
  const weights = 'the weights of the base';
  const base = {
    sha256: sha256('base'),
    files: [{ name: 'model weights.bin', sizeBytes: weights.length, sha256: sha256(weights) }],
  };

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'attune-downloads-'));
    await writeFile(join(dir, 'model weights.bin'), weights);
    store = await openAdapterStore(dir, vaultOf(database().kysely));
    const app = express();
    const authenticate = async ({ headers }: IncomingMessage) => {
      if (!headers.authorization) throw new AppError('UNAUTHENTICATED', 'Send a token.');
      return await ensureUser(database().kysely, headers.authorization, new Date());
    };
    const parts = { db: database().kysely, store, trainingFiles: new Map() };
    app.use(downloads({ ...parts, base: { ...base, dir }, authenticate }));
    app.use((error: Error, _request: Request, response: Response, _next: NextFunction) => {
      const code = error instanceof AppError ? error.code : 'INTERNAL';
      response.status(ERROR_CODES[code].httpStatus).json({ message: error.message });
    });
    server = createServer(app);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    await new Promise((resolve) => server.close(resolve));
    await rm(dir, { recursive: true, force: true });
  });

  const stored = async (content: string, userId: string | null): Promise<StoredAdapter> => {
    const folder = await mkdtemp(join(dir, 'trained-'));
    await writeFile(join(folder, 'adapter_config.json'), '{}');
    await writeFile(join(folder, TENSORS), content);
    return store.put(folder, userId);
  };

  /** A user with a published adapter of that content, and how it asks for files. */
  const owner = async (content: string) => {
    const user = await newSubscriber(database());
    const files = await stored(content, user.userId);
    const candidate = { ...candidateOf(content), ...files };
    const adapter = await publishAdapter(user.deps, await user.startRun(), candidate);
    const { subject } = await user.db
      .selectFrom('users')
      .select('subject')
      .where('id', '=', user.userId)
      .executeTakeFirstOrThrow();
    const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
      fetch(`${origin}${path}`, { method, headers: { authorization: subject ?? '', ...headers } });
    return { ...user, adapter, get, path: `/adapters/${adapter.sha256}/${TENSORS}` };
  };

  it('serves the bytes under the hash that names them (DOWN-1)', async () => {
    const { get, path } = await owner('0123456789');
    const response = await get(path);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('0123456789');
    const hash = sha256('0123456789');
    const digest = Buffer.from(hash, 'hex').toString('base64');
    expect(Object.fromEntries(response.headers)).toMatchObject({
      etag: `"${hash}"`,
      'repr-digest': `sha-256=:${digest}:`,
      'accept-ranges': 'bytes',
      'cache-control': 'private, max-age=31536000, immutable',
      'content-length': '10',
    });
  });

  it('never serves bytes that are not those of the name', async () => {
    const { get, path, adapter } = await owner('will be damaged');
    await writeFile(join(store.pathOf(adapter), TENSORS), 'was damaged');
    expect((await get(path)).status).toBe(404);
    expect((await get(path, { range: 'bytes=4-' })).status).toBe(404);
  });

  it('answers HEAD with the headers alone (DOWN-6)', async () => {
    const { get, path } = await owner('0123456789');
    const response = await get(path, {}, 'HEAD');
    expect(response.headers.get('content-length')).toBe('10');
    expect(response.headers.get('etag')).toBe(`"${sha256('0123456789')}"`);
    expect(await response.text()).toBe('');
  });

  it.each([
    ['bytes=3-', '3456789', 'bytes 3-9/10'],
    ['bytes=0-0', '0', 'bytes 0-0/10'],
    ['bytes=-4', '6789', 'bytes 6-9/10'],
    ['bytes=5-99', '56789', 'bytes 5-9/10'],
  ])('goes on where a download stopped: %s', async (range, text, contentRange) => {
    const { get, path } = await owner('0123456789');
    const response = await get(path, { range });
    expect(response.status).toBe(206);
    expect(await response.text()).toBe(text);
    expect(response.headers.get('content-range')).toBe(contentRange);
    const digest = Buffer.from(sha256('0123456789'), 'hex').toString('base64');
    expect(response.headers.get('repr-digest')).toBe(`sha-256=:${digest}:`);
  });

  it('goes on anywhere in a file of several sealed chunks, which lies on the disk unreadable', async () => {
    const content = Array.from({ length: 20_000 }, (_, i) => `line ${i}`).join();
    const { get, path, adapter } = await owner(content);
    const onDisk = await readFile(join(store.pathOf(adapter), TENSORS));
    expect(onDisk.includes('line 1')).toBe(false);
    expect(await (await get(path)).text()).toBe(content);
    for (const [start, end] of [
      ...[
        [65_530, 65_542],
        [65_536, 65_536],
        [131_000, 200_000],
        [content.length - 1, content.length - 1],
      ],
    ] as [number, number][]) {
      const response = await get(path, { range: `bytes=${start}-${end}` });
      expect(response.status).toBe(206);
      expect(response.headers.get('content-length')).toBe(String(end + 1 - start));
      expect(await response.text()).toBe(content.slice(start, end + 1));
    }
  });

  it('refuses a range outside of the file, and says how long it is (DOWN-3)', async () => {
    const { get, path } = await owner('0123456789');
    const response = await get(path, { range: 'bytes=10-' });
    expect(response.status).toBe(416);
    expect(response.headers.get('content-range')).toBe('bytes */10');
    expect(response.headers.get('cache-control')).toBeNull();
    expect(response.headers.get('etag')).not.toBe(`"${sha256('0123456789')}"`);
    expect(response.headers.get('repr-digest')).toBeNull();
    expect(await response.json()).toMatchObject({
      errors: [{ extensions: { code: 'BAD_INPUT' } }],
    });
  });

  it('continues only the very same bytes (DOWN-2)', async () => {
    const { get, path } = await owner('0123456789');
    const etag = `"${sha256('0123456789')}"`;
    const ask = async (ifRange: string) =>
      (await get(path, { range: 'bytes=5-', 'if-range': ifRange })).text();
    expect(await ask(etag)).toBe('56789');
    expect(await ask('"other"')).toBe('0123456789');
    expect(await ask(`W/${etag}`)).toBe('0123456789');
    expect(await ask(new Date().toUTCString())).toBe('0123456789');
  });

  it('does not send what the device has, nor what it does not want', async () => {
    const { get, path } = await owner('0123456789');
    const etag = `"${sha256('0123456789')}"`;
    // fetch would otherwise ask for a fresh copy whenever the request is conditional
    const ask = (header: string, tag: string) =>
      get(path, { [header]: tag, 'cache-control': 'max-age=0' });
    expect((await ask('if-none-match', etag)).status).toBe(304);
    expect((await ask('if-none-match', '"other"')).status).toBe(200);
    expect((await ask('if-match', '"other"')).status).toBe(412);
  });

  it('serves the base to everyone who is signed in', async () => {
    const { get } = await owner('x');
    const path = `/models/${base.sha256}/${encodeURIComponent('model weights.bin')}`;
    expect(await (await get(path)).text()).toBe(weights);
    expect((await fetch(`${origin}${path}`)).status).toBe(401);
  });

  it('serves an adapter to nobody but its user (DOWN-4)', async () => {
    const { path } = await owner('private');
    const stranger = await owner('something else');
    expect((await stranger.get(path)).status).toBe(404);
    expect((await fetch(`${origin}${path}`)).status).toBe(401);
  });

  it('serves the same bytes to each user who has them', async () => {
    const [one, two] = [await owner('shared bytes'), await owner('shared bytes')];
    await one.revoke(one.adapter.id);
    expect((await one.get(one.path)).status).toBe(404);
    expect((await two.get(two.path)).status).toBe(200);
  });

  it('stops serving an adapter with its revocation, but not when it is superseded (DOWN-4, DOWN-5)', async () => {
    const { get, path, publish, revoke, adapter } = await owner('0123456789');
    await publish('next');
    expect((await get(path)).status).toBe(200);
    await revoke(adapter.id);
    expect((await get(path)).status).toBe(404);
  });

  it('does not serve a rejected adapter', async () => {
    const { get, deps, startRun, userId } = await owner('good');
    const bad = await stored('bad', userId);
    await recordRejected(deps, await startRun(), { ...candidateOf('bad'), sha256: bad.sha256 });
    expect((await get(`/adapters/${bad.sha256}/${TENSORS}`)).status).toBe(404);
  });

  it('serves a shipped adapter to everyone', async () => {
    const { get, db } = await owner('own');
    const shipped = {
      ...(await stored('shipped', null)),
      mode: 'subject',
      baseSha256: base.sha256,
      rank: 8,
    };
    await registerShipped(db, [shipped], new Date());
    expect(await (await get(`/adapters/${shipped.sha256}/${TENSORS}`)).text()).toBe('shipped');
  });

  it.each([
    (hash: string) => `/adapters/${hash}/other.bin`,
    (hash: string) => `/adapters/${hash}/..%2f..%2fmodel%20weights.bin`,
    (hash: string) => `/adapters/${hash.toUpperCase()}/${TENSORS}`,
    () => `/adapters/${sha256('never')}/${TENSORS}`,
    () => `/adapters/%00/${TENSORS}`,
    () => `/models/${sha256('another base')}/model%20weights.bin`,
    () => `/models/${base.sha256}/adapters`,
  ])('knows nothing else (%#)', async (pathOf) => {
    const { get, adapter } = await owner('0123456789');
    const response = await get(pathOf(adapter.sha256));
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({
      errors: [{ extensions: { code: 'NOT_FOUND' } }],
    });
  });

  it('reports a file that is gone from the store as a failure of ours', async () => {
    const { get, path, adapter } = await owner('soon gone');
    await rm(join(store.pathOf(adapter), 'adapter_config.json'));
    const response = await get(path.replace(TENSORS, 'adapter_config.json'));
    expect(response.status).toBe(500);
    expect(response.headers.get('cache-control')).toBeNull();
  });
});
