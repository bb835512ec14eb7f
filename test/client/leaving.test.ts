// What goes off the disk of a device, also when its user or its name is gone, against the real server.

import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { filesWith, note, useRealServer } from './real-devices.ts';

describeWithDatabase('what leaves a device', (database) => {
  const { device, publish, close, api } = useRealServer(database);

  it('is off its disk while it goes on: what was sent, and what was deleted (DEV-31)', async () => {
    const { client, until, home } = await device(randomUUID());
    const isDone = async () => (await client.pendingCount()) === 0 && client.state === 'live';
    await client.push([note('a')]);
    expect(await filesWith(home, 'The text of a')).toEqual(['state.jsonl']);
    await until(isDone);
    expect(await filesWith(home, 'The text of a')).toEqual([]);
    client.pause();
    await client.push([note('b'), { ...note('b'), kind: 'DELETE', data: null }]);
    await client.resume();
    await until(isDone);
    expect(await filesWith(home, 'The text of b')).toEqual([]);
  });

  it('removes its copies when its user is erased, and begins anew (FEED-14, DEV-28)', async () => {
    const user = randomUUID();
    await publish(user, 'what was learnt of an erased user');
    const { client, until, home } = await device(user);
    await until(async () => (await client.adapter('subject')) !== null);
    await (await api().client(user)).ask('mutation { eraseViewer { completedAt } }');
    // out of use in the midst of a pass, off the disk at its end
    await until(async () => (await client.adapter('subject')) === null && client.state === 'live');
    expect(await filesWith(home, 'learnt of an erased')).toEqual([]);
    await client.push([note('after')]);
    await until(async () => (await client.pendingCount()) === 0);
    const { viewer } = await (await api().client(user)).ask(
      '{ viewer { records { edges { node { recordId } } } } }',
    );
    expect(viewer.records.edges).toEqual([{ node: { recordId: 'after' } }]);
    await publish(user, 'learnt anew');
    await until(async () => (await client.adapter('subject'))?.version === 1);
  });

  it('is turned away once it was revoked, removes its copies, says so, and begins again under another name (DEV-22, DEV-23, DEV-29)', async () => {
    const user = randomUUID();
    await publish(user, 'learnt of a user');
    const lost = await device(user, { deviceId: 'lost' });
    await lost.until(async () => (await lost.client.adapter('subject')) !== null);
    await lost.client.push([note('a')]);
    await lost.until(async () => (await lost.client.pendingCount()) === 0);
    await (await api().client(user)).ask(
      'mutation { revokeDevice(deviceId: "lost") { deviceId } }',
    );
    await lost.until(async () => lost.client.state === 'signed-out');
    expect(lost.said.at(-1)).toMatchObject({ code: 'FORBIDDEN', reason: 'DEVICE_REVOKED' });
    expect(await lost.client.adapter('subject')).toBeNull();
    expect(await filesWith(lost.home, 'learnt of a user')).toEqual([]);
    await lost.client.push([note('b')]);
    expect(await lost.client.pendingCount()).toBe(1);
    await close(lost.client);

    const found = await device(user, { home: lost.home, deviceId: 'found' });
    await found.until(async () => (await found.client.pendingCount()) === 0);
    expect(await found.client.adapter('subject')).toMatchObject({ version: 1 });
    const { viewer } = await (await api().client(user)).ask(
      '{ viewer { devices { deviceId lastMutationId held { adapter { version } } } } }',
    );
    expect(viewer.devices).toContainEqual({
      ...{ deviceId: 'found', lastMutationId: 1, held: [{ adapter: { version: 1 } }] },
    });
  });
});
