// Devices of the SDK on real disks, and the real server that they talk to.

import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import WebSocket from 'ws';
import { type AdapterStore, openAdapterStore } from '../../src/adapters/store.ts';
import { type AttuneClient, openClient } from '../../src/client/client.ts';
import { openNodeStorage } from '../../src/client/storage/node-storage.ts';
import type { Database } from '../../src/db/database.ts';
import { vaultOf } from '../../src/db/sealed-columns.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { publishTo } from '../adapters/fixture.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { deferred } from '../support/deferred.ts';

export const TENSORS = 'adapter_model.safetensors';

/** A change that names itself. */
export const note = (recordId: string) => ({
  source: 'notes',
  recordId,
  kind: 'UPSERT' as const,
  data: { text: `The text of ${recordId}` },
  occurredAt: new Date().toISOString(),
});

/** The names of the files below the folder that hold the text. */
export async function filesWith(home: string, text: string): Promise<readonly string[]> {
  const names = await readdir(home, { recursive: true, withFileTypes: true });
  const found: string[] = [];
  for (const entry of names.filter((one) => one.isFile())) {
    const bytes = await readFile(join(entry.parentPath, entry.name));
    if (bytes.includes(text)) found.push(entry.name);
  }
  return found;
}

/** A device as a test wants it. */
interface Wanted {
  /** The folder of one that was there before. */
  readonly home?: string;
  /** The name that its token is for. */
  readonly deviceId?: string;
  /** Another server than the tests' own. */
  readonly on?: Api;
}

/** Starts a server before the tests of a block and closes their devices after each. */
export function useRealServer(database: () => Database) {
  let folder: string;
  let api: Api;
  let store: AdapterStore;
  const open = new Set<AttuneClient>();
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'attune-devices-'));
    store = await openAdapterStore(folder, vaultOf(database().kysely));
    api = await startApi(database(), systemClock, store);
  });
  const close = async (client: AttuneClient) => {
    open.delete(client);
    await client.close();
  };
  afterEach(async () => {
    for (const client of open) await close(client);
  });
  afterAll(async () => {
    await api.close();
    await rm(folder, { recursive: true });
  });

  const device = async (
    user: string,
    { home = join(folder, randomUUID()), deviceId, on = api }: Wanted = {},
  ) => {
    const waiters: { isReached: () => Promise<boolean>; resolve: () => void }[] = [];
    const token = await on.token(user, deviceId === undefined ? {} : { device: deviceId });
    const failures: unknown[] = [];
    const asked: string[] = [];
    const said: (Error | null)[] = [];
    const look = async () => {
      for (const waiter of waiters) if (await waiter.isReached()) waiter.resolve();
    };
    const lookLater = () => void look().catch((error: unknown) => failures.push(error));
    const client = await openClient({
      url: on.url,
      fetch: (url, init) => {
        asked.push(String(url));
        return fetch(url, init);
      },
      token: () => Promise.resolve(token),
      storage: await openNodeStorage(home),
      name: 'Phone',
      platform: 'node',
      webSocket: WebSocket,
      ...(deviceId !== undefined && { deviceId }),
      onChange: lookLater,
      onState: (_state, error) => {
        said.push(error);
        lookLater();
      },
    });
    open.add(client);
    /** Resolves when it holds, which is looked at with each new state and after each pass. It may hold in the midst of one. */
    const until = async (isReached: () => Promise<boolean>) => {
      const { promise, resolve } = deferred();
      waiters.push({ isReached, resolve });
      await look();
      await promise;
      expect(failures).toEqual([]);
    };
    return { client, until, home, asked, said };
  };

  /** Publishes an adapter of these bytes and tells the followers. */
  const publish = async (subject: string, content: string, mode = 'subject') => {
    const trained = await mkdtemp(join(folder, 'trained-'));
    await writeFile(join(trained, 'adapter_config.json'), '{}');
    await writeFile(join(trained, TENSORS), content);
    const put = (userId: string) => store.put(trained, userId);
    return publishTo(database(), api.services, { subject, mode }, put);
  };
  return {
    ...{ device, publish, close },
    folder: () => folder,
    api: () => api,
    store: () => store,
  };
}
