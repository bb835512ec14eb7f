// The SDK on a real disk against the real server: what the oracle promises is what the server does.

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import WebSocket from 'ws';
import { type AdapterStore, openAdapterStore } from '../../src/adapters/store.ts';
import { type AttuneClient, openClient } from '../../src/client/client.ts';
import { openNodeStorage } from '../../src/client/node-storage.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { publishTo } from '../adapters/fixture.ts';
import { type Api, startApi } from '../support/api-server.ts';
import { describeWithDatabase } from '../support/databases.ts';
import { deferred } from '../support/deferred.ts';

const TENSORS = 'adapter_model.safetensors';

describeWithDatabase('a client and the real server', (database) => {
  let folder: string;
  let api: Api;
  let store: AdapterStore;
  const open: AttuneClient[] = [];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'attune-devices-'));
    store = await openAdapterStore(folder);
    api = await startApi(database(), systemClock, store);
  });
  afterEach(async () => {
    for (const client of open.splice(0)) await client.close();
  });
  afterAll(async () => {
    await api.close();
    await rm(folder, { recursive: true });
  });

  const device = async (user: string, home = join(folder, randomUUID())) => {
    const waiters: { isReached: () => Promise<boolean>; resolve: () => void }[] = [];
    const token = await api.token(user);
    const look = async () => {
      for (const waiter of waiters) if (await waiter.isReached()) waiter.resolve();
    };
    const failures: unknown[] = [];
    const client = await openClient({
      url: api.url,
      token: () => Promise.resolve(token),
      storage: await openNodeStorage(home),
      name: 'Phone',
      platform: 'node',
      webSocket: WebSocket,
      onChange: () => void look().catch((error: unknown) => failures.push(error)),
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
    return { client, until, home };
  };

  /** Publishes an adapter of these bytes and tells the followers. */
  const publish = async (user: string, content: string) => {
    const trained = await mkdtemp(join(folder, 'trained-'));
    await writeFile(join(trained, 'adapter_config.json'), '{}');
    await writeFile(join(trained, TENSORS), content);
    return publishTo(database(), api.services, user, await store.put(trained));
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
