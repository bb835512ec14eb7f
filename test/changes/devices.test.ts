import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { devicesById, findDevice, listDevices, registerDevice } from '../../src/changes/devices.ts';
import { ensureUser } from '../../src/changes/users.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { newPhone, pushDeps, upsert } from './fixture.ts';

describeEachDatabase('users and devices', (database) => {
  const phone = () => newPhone(database());
  const now = new Date();

  it('makes a user once, also when two first tokens arrive at once', async () => {
    const { kysely } = database();
    const subject = randomUUID();
    const users = await Promise.all([1, 2, 3].map(() => ensureUser(kysely, subject, now)));
    expect(new Set(users.map(({ id }) => id)).size).toBe(1);
  });

  it('renames a device that registers again, and keeps its place (PUSH-1)', async () => {
    const { db, userId, push } = await phone();
    await push(upsert(1));
    const later = new Date(now.getTime() + 5_000);
    const clock = { ...systemClock, now: () => later.getTime() };
    const renamed = { deviceId: 'phone', name: 'New name', platform: 'ios' };
    expect(await registerDevice({ db, clock }, userId, renamed)).toMatchObject({
      ...renamed,
      lastMutationId: 1,
      lastSeenAt: later,
    });
    expect(await listDevices(db, userId)).toHaveLength(1);
  });

  it.each([
    ['deviceId', ''],
    ['deviceId', 'x'.repeat(201)],
    ['name', 'a\0b'],
    ['platform', '\ud800'],
  ])('refuses a %s that is empty, endless or cannot be stored', async (field, text) => {
    const { db, userId } = await phone();
    const fine = { deviceId: 'd', name: 'n', platform: 'p' };
    const register = registerDevice(pushDeps(db), userId, { ...fine, [field]: text });
    await expect(register).rejects.toThrow(
      expect.objectContaining({ code: 'BAD_INPUT', message: expect.stringContaining(field) }),
    );
  });

  it('lets two users give their devices the same name', async () => {
    const [mine, yours] = [await phone(), await phone()];
    const device = await findDevice(mine.db, mine.userId, 'phone');
    expect((await findDevice(yours.db, yours.userId, 'phone')).id).not.toBe(device.id);
    expect(await devicesById(yours.db, yours.userId, [device.id])).toEqual([]);
    expect(await devicesById(mine.db, mine.userId, [device.id])).toEqual([device]);
  });

  it.each(['tablet', 'a\0'])('says that no device %j is registered', async (deviceId) => {
    const { db, userId } = await phone();
    await expect(findDevice(db, userId, deviceId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
