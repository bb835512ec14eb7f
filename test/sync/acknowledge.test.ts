import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { heldAdapters, heldBy } from '../../src/adapters/held-adapters.ts';
import { recordRejected } from '../../src/adapters/publish.ts';
import { shippedAdapters } from '../../src/adapters/registry.ts';
import { registerShipped } from '../../src/adapters/shipped.ts';
import { findDevice } from '../../src/changes/devices.ts';
import { must } from '../../src/lib/errors.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { acknowledgeAdapter } from '../../src/sync/acknowledge.ts';
import { candidateOf, filesOf } from '../adapters/fixture.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { newSubscriber } from './fixture.ts';

describeEachDatabase('acknowledgeAdapter', (database) => {
  const subscriber = () => newSubscriber(database());
  const heldOf = async ({ db, userId }: Awaited<ReturnType<typeof subscriber>>) => {
    const { id } = await findDevice(db, userId, 'phone');
    return (await heldAdapters(db, userId, [id])).map(({ adapterId }) => adapterId);
  };

  it('remembers the last adapter that was installed for each mode (ACK-1)', async () => {
    const phone = await subscriber();
    const [one, two] = [await phone.publish('one'), await phone.publish('two')];
    const reply = await phone.publish('reply', 'reply');
    for (const { id } of [one, reply, two]) await phone.acknowledge(id, 'INSTALLED');
    expect(await heldOf(phone)).toEqual([reply.id, two.id]);
    expect(await heldBy(phone.db, phone.userId, 'phone', 'subject')).toEqual(two);
  });

  it('keeps the time of the first word when it is repeated (ACK-2)', async () => {
    const phone = await subscriber();
    const { id } = await phone.publish('one');
    const word = { deviceId: 'phone', adapterId: id, state: 'INSTALLED' as const };
    for (const now of [1_000, 2_000]) {
      const clock = { ...phone.deps.clock, now: () => now };
      await acknowledgeAdapter({ ...phone.deps, clock }, phone.userId, word);
    }
    const device = await findDevice(phone.db, phone.userId, 'phone');
    expect(device.lastSeenAt).toEqual(new Date(2_000));
    const [held] = await heldAdapters(phone.db, phone.userId, [device.id]);
    expect(held?.since).toEqual(new Date(1_000));
  });

  it('forgets what was removed, and nothing else (ACK-3)', async () => {
    const phone = await subscriber();
    const [one, two] = [await phone.publish('one'), await phone.publish('two')];
    await phone.acknowledge(two.id, 'INSTALLED');
    await phone.acknowledge(one.id, 'REMOVED');
    expect(await heldOf(phone)).toEqual([two.id]);
    await phone.acknowledge(two.id, 'REMOVED');
    await phone.acknowledge(two.id, 'REMOVED');
    expect(await heldOf(phone)).toEqual([]);
  });

  it('leaves the device with what it held when an installation fails (ACK-4)', async () => {
    const phone = await subscriber();
    const [one, two] = [await phone.publish('one'), await phone.publish('two')];
    await phone.acknowledge(one.id, 'INSTALLED');
    expect(await phone.acknowledge(two.id, 'FAILED')).toMatchObject({ deviceId: 'phone' });
    expect(await heldOf(phone)).toEqual([one.id]);
  });

  it('takes no installation of what was revoked or rejected (ACK-5)', async () => {
    const phone = await subscriber();
    const revoked = await phone.publish('one');
    await phone.revoke(revoked.id);
    const rejected = await recordRejected(phone.deps, await phone.startRun(), candidateOf('two'));
    for (const { id } of [revoked, rejected]) {
      await expect(phone.acknowledge(id, 'INSTALLED')).rejects.toMatchObject({ code: 'CONFLICT' });
    }
    expect(await phone.acknowledge(revoked.id, 'REMOVED')).toMatchObject({ deviceId: 'phone' });
    expect(await heldOf(phone)).toEqual([]);
  });

  it('accepts a shipped adapter from anybody', async () => {
    const phone = await subscriber();
    const mode = `shipped-${phone.userId}`;
    const baseSha256 = sha256('base');
    const files = filesOf('shipped');
    await registerShipped(
      phone.db,
      [{ mode, baseSha256, sha256: sha256('s'), rank: 4, files }],
      new Date(),
    );
    const [shipped] = await shippedAdapters(phone.db, baseSha256, [mode]);
    await phone.acknowledge(must(shipped, 'it ships').id, 'INSTALLED');
    expect(await heldOf(phone)).toEqual([shipped?.id]);
  });

  it('does not know devices and adapters of others (ACK-6)', async () => {
    const [phone, stranger] = [await subscriber(), await subscriber()];
    const [mine, theirs] = [await phone.publish('mine'), await stranger.publish('theirs')];
    const acknowledge = (deviceId: string, adapterId: string) =>
      acknowledgeAdapter(phone.deps, phone.userId, { deviceId, adapterId, state: 'INSTALLED' });
    const unknown: [string, string][] = [
      ['tablet', mine.id],
      ['phone', theirs.id],
      ['phone', randomUUID()],
    ];
    for (const [deviceId, adapterId] of unknown) {
      const refused = acknowledge(deviceId, adapterId);
      await expect(refused).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
    expect(await heldOf(phone)).toEqual([]);
  });

  it('says why nothing that a device holds can answer', async () => {
    const phone = await subscriber();
    const held = (deviceId: string) => heldBy(phone.db, phone.userId, deviceId, 'subject');
    await expect(held('tablet')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(held('phone')).rejects.toThrow('holds no adapter of mode subject');
    const { id } = await phone.publish('one');
    await phone.acknowledge(id, 'INSTALLED');
    await phone.revoke(id);
    await expect(held('phone')).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await heldOf(phone)).toEqual([id]);
  });
});
