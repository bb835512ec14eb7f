// The SDK on a real disk against the real server: what the oracle promises is what the server does.

import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import WebSocket from 'ws';
import { writePeftFolder } from '../../src/adapters/peft.ts';
import { registerShipped } from '../../src/adapters/shipped.ts';
import { type AdapterStore, openAdapterStore } from '../../src/adapters/store.ts';
import { type AttuneClient, openClient } from '../../src/client/client.ts';
import { openNodeStorage } from '../../src/client/storage/node-storage.ts';
import { vaultOf } from '../../src/db/sealed-columns.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { LORA_MODULES } from '../../src/model/lora/lora.ts';
import { roundLora, WIRE_FILE } from '../../src/model/lora/lora-wire.ts';
import { publishTo } from '../adapters/fixture.ts';
import { type Api, startApi } from '../support/api-server.ts';
import { describeWithDatabase } from '../support/databases.ts';
import { deferred } from '../support/deferred.ts';
import { randomAdapter, SMALL_CONFIG } from '../support/random-llama.ts';

const TENSORS = 'adapter_model.safetensors';

describeWithDatabase('a client and the real server', (database) => {
  let folder: string;
  let api: Api;
  let store: AdapterStore;
  const open: AttuneClient[] = [];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'attune-devices-'));
    store = await openAdapterStore(folder, vaultOf(database().kysely));
    api = await startApi(database(), systemClock, store);
  });
  afterEach(async () => {
    for (const client of open.splice(0)) await client.close();
  });
  afterAll(async () => {
    await api.close();
    await rm(folder, { recursive: true });
  });

  const device = async (
    user: string,
    home = join(folder, randomUUID()),
    claims: { readonly device?: string } = {},
  ) => {
    const waiters: { isReached: () => Promise<boolean>; resolve: () => void }[] = [];
    const token = await api.token(user, claims);
    const look = async () => {
      for (const waiter of waiters) if (await waiter.isReached()) waiter.resolve();
    };
    const failures: unknown[] = [];
    const asked: string[] = [];
    const said: (Error | null)[] = [];
    const client = await openClient({
      url: api.url,
      fetch: (url, init) => {
        asked.push(String(url));
        return fetch(url, init);
      },
      token: () => Promise.resolve(token),
      storage: await openNodeStorage(home),
      name: 'Phone',
      platform: 'node',
      webSocket: WebSocket,
      ...(claims.device !== undefined && { deviceId: claims.device }),
      onChange: () => void look().catch((error: unknown) => failures.push(error)),
      onState: (_state, error) => {
        said.push(error);
        void look().catch((cause: unknown) => failures.push(cause));
      },
    });
    open.push(client);
    /** Resolves when a pass has ended after which it holds. */
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
  const publish = async (user: string, content: string) => {
    const trained = await mkdtemp(join(folder, 'trained-'));
    await writeFile(join(trained, 'adapter_config.json'), '{}');
    await writeFile(join(trained, TENSORS), content);
    return publishTo(database(), api.services, user, (userId) => store.put(trained, userId));
  };

  const note = (recordId: string) => ({
    source: 'notes',
    recordId,
    kind: 'UPSERT' as const,
    data: { text: `The text of ${recordId}` },
    occurredAt: new Date().toISOString(),
  });

  it('pushes, follows over a socket, installs, and removes what is withdrawn', async () => {
    const user = randomUUID();
    const { client, until } = await device(user);
    await client.push([note('a'), note('b')]);
    await until(async () => (await client.pendingCount()) === 0);
    const { viewer } = await (await api.client(user)).ask(
      '{ viewer { records { edges { node { recordId } } } } }',
    );
    expect(viewer.records.edges).toHaveLength(2);

    await publish(user, 'one');
    await until(async () => (await client.adapter('subject'))?.version === 1);
    const bytes = await (await client.adapter('subject'))?.read(TENSORS);
    expect(Buffer.from(bytes ?? []).toString()).toBe('one');
    await publish(user, 'two');
    await until(async () => (await client.adapter('subject'))?.version === 2);

    const asker = await api.client(user);
    const first = await asker.ask(
      '{ viewer { mode(key: "subject") { adapters(last: 1) { edges { node { id version } } } } } }',
    );
    const { id } = first.viewer.mode.adapters.edges[0].node;
    await asker.ask('mutation ($id: ID!) { rollbackAdapter(adapterId: $id) { version } }', { id });
    await until(async () => (await client.adapter('subject'))?.version === 3);
    const again = await (await client.adapter('subject'))?.read(TENSORS);
    expect(Buffer.from(again ?? []).toString()).toBe('one');
    const { viewer: after } = await asker.ask(
      '{ viewer { devices { held { adapter { version } } } } }',
    );
    expect(after.devices).toEqual([{ held: [{ adapter: { version: 3 } }] }]);
  });

  it('finds everything again after a restart, and what happened meanwhile', async () => {
    const user = randomUUID();
    const { client, until, home } = await device(user);
    await publish(user, 'one');
    await until(async () => (await client.adapter('subject'))?.version === 1);
    client.pause();
    await client.push([note('kept')]);
    open.splice(0);
    await client.close();
    await publish(user, 'two');
    const second = await device(user, home);
    expect(second.client.deviceId).toBe(client.deviceId);
    await second.until(async () => (await second.client.adapter('subject'))?.version === 2);
    expect(await second.client.pendingCount()).toBe(0);
  });

  it('removes its copies when its user is erased, and begins anew (FEED-14)', async () => {
    const user = randomUUID();
    await publish(user, 'what was learnt of an erased user');
    const { client, until, home } = await device(user);
    await until(async () => (await client.adapter('subject')) !== null);
    await (await api.client(user)).ask('mutation { eraseViewer { completedAt } }');
    await until(async () => (await client.adapter('subject')) === null);
    const names = await readdir(home, { recursive: true, withFileTypes: true });
    for (const entry of names.filter((one) => one.isFile())) {
      const bytes = await readFile(join(entry.parentPath, entry.name));
      expect(bytes.includes('learnt of an erased'), entry.name).toBe(false);
    }
    await client.push([note('after')]);
    await until(async () => (await client.pendingCount()) === 0);
    const { viewer } = await (await api.client(user)).ask(
      '{ viewer { records { edges { node { recordId } } } } }',
    );
    expect(viewer.records.edges).toEqual([{ node: { recordId: 'after' } }]);
  });

  it('is turned away once it was revoked, says so, and begins again under another name (DEV-22, DEV-23)', async () => {
    const user = randomUUID();
    await publish(user, 'one');
    const lost = await device(user, undefined, { device: 'lost' });
    await lost.until(async () => (await lost.client.adapter('subject')) !== null);
    await lost.client.push([note('a')]);
    await lost.until(async () => (await lost.client.pendingCount()) === 0);
    await (await api.client(user)).ask('mutation { revokeDevice(deviceId: "lost") { deviceId } }');
    await lost.until(async () => lost.client.state === 'signed-out');
    expect(lost.said.at(-1)).toMatchObject({ code: 'FORBIDDEN' });
    await lost.client.push([note('b')]);
    expect(await lost.client.pendingCount()).toBe(1);
    open.splice(0);
    await lost.client.close();

    const found = await device(user, lost.home, { device: 'found' });
    await found.until(async () => (await found.client.pendingCount()) === 0);
    expect(await found.client.adapter('subject')).toMatchObject({ version: 1 });
    const { viewer } = await (await api.client(user)).ask(
      '{ viewer { devices { deviceId lastMutationId held { adapter { version } } } } }',
    );
    expect(viewer.devices).toContainEqual({
      ...{ deviceId: 'found', lastMutationId: 1, held: [{ adapter: { version: 1 } }] },
    });
  });

  it('has what ships with a mode, and says so', async () => {
    const user = randomUUID();
    const trained = await mkdtemp(join(folder, 'shipped-'));
    await writeFile(join(trained, 'adapter_config.json'), '{}');
    await writeFile(join(trained, TENSORS), 'shipped');
    const stored = await store.put(trained, null);
    const shipped = { mode: 'reply', baseSha256: api.services.base.sha256, rank: 4, ...stored };
    await registerShipped(database().kysely, [shipped], new Date());
    const { client, until } = await device(user);
    await until(async () => (await client.adapter('reply'))?.origin === 'SHIPPED');
    const bytes = await (await client.adapter('reply'))?.read(TENSORS);
    expect(Buffer.from(bytes ?? []).toString()).toBe('shipped');
    const { viewer } = await (await api.client(user)).ask(
      '{ viewer { devices { held { mode { key } adapter { origin } } } } }',
    );
    expect(viewer.devices).toEqual([
      { held: [{ mode: { key: 'reply' }, adapter: { origin: 'SHIPPED' } }] },
    ]);
    await registerShipped(database().kysely, [], new Date());
  });

  it('downloads a quarter of the tensors and has the canonical bytes, or all of them where the quarter is damaged (DOWN-7, DEV-15)', async () => {
    const shape = { rank: 4, alpha: 8, modules: LORA_MODULES };
    const base = { sha256: 'base', name: 'base', config: SMALL_CONFIG };
    for (const isDamaged of [false, true]) {
      const user = randomUUID();
      const trained = join(folder, randomUUID());
      const adapter = randomAdapter(SMALL_CONFIG, shape, isDamaged ? 1 : 2);
      await writePeftFolder(trained, roundLora(adapter), base);
      const made = await publishTo(database(), api.services, user, (userId) =>
        store.put(trained, userId),
      );
      const wireBytes = made.files.find(({ name }) => name === WIRE_FILE)?.sizeBytes ?? 0;
      const wire = join(store.pathOf(made), WIRE_FILE);
      if (isDamaged) await writeFile(wire, Buffer.alloc(wireBytes, 1));
      const { client, until, asked } = await device(user);
      await until(async () => (await client.adapter('subject')) !== null);
      const bytes = await (await client.adapter('subject'))?.read(TENSORS);
      expect(Buffer.from(bytes ?? [])).toEqual(await readFile(join(trained, TENSORS)));
      expect(wireBytes).toBeLessThan((bytes?.length ?? 0) / 3);
      expect(asked.some((url) => url.endsWith(TENSORS))).toBe(isDamaged);
      await expect((await client.adapter('subject'))?.read(WIRE_FILE)).rejects.toThrow('no file');
    }
  });

  it('asks the cloud with the very adapter that it holds, and reports what it answered itself', async () => {
    const user = randomUUID();
    const { client, until } = await device(user);
    const adapter = await publish(user, 'one');
    await until(async () => (await client.adapter('subject'))?.version === 1);
    const input = { body: 'The boat is out of the water.' };
    const answer = await client.complete({ mode: 'subject', input });
    expect(answer.adapter).toMatchObject({ version: 1, sha256: adapter.sha256 });

    const held = await client.adapter('subject');
    await client.reportCompletion({
      mode: 'subject',
      input,
      text: 'Boat',
      adapterId: held?.id ?? null,
    });
    const asker = await api.client(user);
    await until(async () => {
      const { viewer } = await asker.ask('{ viewer { completions { edges { node { text } } } } }');
      return viewer.completions.edges.some(
        (edge: { node: { text: string } }) => edge.node.text === 'Boat',
      );
    });
  });
});
