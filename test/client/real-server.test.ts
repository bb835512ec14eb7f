// The SDK on a real disk against the real server: what the oracle promises is what the server does.

import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writePeftFolder } from '../../src/adapters/peft.ts';
import { registerShipped } from '../../src/adapters/shipped.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { projectFile } from '../../src/lib/project-file.ts';
import { LORA_MODULES } from '../../src/model/lora/lora.ts';
import { roundLora, WIRE_FILE } from '../../src/model/lora/lora-wire.ts';
import { loadCatalog } from '../../src/modes/catalog.ts';
import { publishTo } from '../adapters/fixture.ts';
import { startApi } from '../support/api/api-server.ts';
import { randomAdapter, SMALL_CONFIG } from '../support/model/random-llama.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { note, TENSORS, useRealServer } from './real-devices.ts';

const MODES = projectFile('modes');

describeWithDatabase('a client and the real server', (database) => {
  const { device, publish, close, folder, api, store } = useRealServer(database);

  it('pushes, follows over a socket, installs, and removes what is withdrawn', async () => {
    const user = randomUUID();
    const { client, until } = await device(user);
    await client.push([note('a'), note('b')]);
    await until(async () => (await client.pendingCount()) === 0);
    const { viewer } = await (await api().client(user)).ask(
      '{ viewer { records { edges { node { recordId } } } } }',
    );
    expect(viewer.records.edges).toHaveLength(2);

    await publish(user, 'one');
    await until(async () => (await client.adapter('subject'))?.version === 1);
    const bytes = await (await client.adapter('subject'))?.read(TENSORS);
    expect(Buffer.from(bytes ?? []).toString()).toBe('one');
    await publish(user, 'two');
    await until(async () => (await client.adapter('subject'))?.version === 2);

    const asker = await api().client(user);
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
    await close(client);
    await publish(user, 'two');
    const second = await device(user, { home });
    expect(second.client.deviceId).toBe(client.deviceId);
    await second.until(async () => (await second.client.adapter('subject'))?.version === 2);
    expect(await second.client.pendingCount()).toBe(0);
  });

  it('has the adapters of the modes that the server has, and the others once it has theirs (FEED-15)', async () => {
    const user = randomUUID();
    await publish(user, 'one');
    await publish(user, 'two', 'reply');
    const catalog = await loadCatalog(MODES, { only: ['subject'] });
    const fewModes = await startApi(database(), systemClock, store(), { catalog });
    try {
      const { client, until, home } = await device(user, { on: fewModes });
      await until(async () => (await client.adapter('subject'))?.version === 1);
      await until(() => Promise.resolve(client.state === 'live'));
      const asker = await fewModes.client(user);
      const { viewer } = await asker.ask('{ viewer { devices { held { mode { key } } } } }');
      expect(viewer.devices).toEqual([{ held: [{ mode: { key: 'subject' } }] }]);
      await close(client);
      const again = await device(user, { home });
      await again.until(async () => (await again.client.adapter('reply'))?.version === 1);
    } finally {
      await fewModes.close();
    }
  });

  it('has what ships with a mode, and says so', async () => {
    const user = randomUUID();
    const trained = await mkdtemp(join(folder(), 'shipped-'));
    await writeFile(join(trained, 'adapter_config.json'), '{}');
    await writeFile(join(trained, TENSORS), 'shipped');
    const stored = await store().put(trained, null);
    const shipped = { mode: 'reply', baseSha256: api().services.base.sha256, rank: 4, ...stored };
    await registerShipped(database().kysely, [shipped], new Date());
    const { client, until } = await device(user);
    await until(async () => (await client.adapter('reply'))?.origin === 'SHIPPED');
    const bytes = await (await client.adapter('reply'))?.read(TENSORS);
    expect(Buffer.from(bytes ?? []).toString()).toBe('shipped');
    const { viewer } = await (await api().client(user)).ask(
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
      const trained = join(folder(), randomUUID());
      const adapter = randomAdapter(SMALL_CONFIG, shape, isDamaged ? 1 : 2);
      await writePeftFolder(trained, roundLora(adapter), base);
      const made = await publishTo(database(), api().services, { subject: user }, (userId) =>
        store().put(trained, userId),
      );
      const wireBytes = made.files.find(({ name }) => name === WIRE_FILE)?.sizeBytes ?? 0;
      const wire = join(store().pathOf(made), WIRE_FILE);
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
    const asker = await api().client(user);
    await until(async () => {
      const { viewer } = await asker.ask('{ viewer { completions { edges { node { text } } } } }');
      return viewer.completions.edges.some(
        (edge: { node: { text: string } }) => edge.node.text === 'Boat',
      );
    });
  });
});
