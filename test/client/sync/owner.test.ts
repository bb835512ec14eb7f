import { expect, it } from 'vitest';
import { disown, keepFor, ownerOf } from '../../../src/client/sync/owner.ts';
import { statementOf } from '../oracle/oracle-files.ts';
import { OracleServer } from '../oracle/oracle-server.ts';
import { changeNamed, TestDevice } from '../test-device.ts';

/** A device with something of everything that a user leaves on it. */
async function usedDevice() {
  const server = new OracleServer();
  const phone = new TestDevice(server, 'phone');
  server.publish('subject', 'learnt of the first user');
  await phone.sync();
  const { outbox, records, reports, ratings, trained, storage } = phone.parts;
  await outbox.add([changeNamed('not sent')], records.writesOf(changeNamed('kept', 'diary')));
  const report = { clientId: 'answer', mode: 'subject', input: {}, text: 'said', adapterId: null };
  await reports.add(report);
  await ratings.add({ clientId: 'answer', id: null }, { verdict: 'UP' });
  await trained.write({ mode: 'diary', status: 'TRAINING', run: 'run' } as never);
  await storage.files.append('run.checkpoint', new Uint8Array(3));
  return { server, phone };
}

/** The server erases the user; the same token begins anew. */
function erase(server: OracleServer): void {
  server.revoke('subject');
  server.expireCursors();
  server.devices.clear();
  server.user = 'another user';
  server.statementOf = (adapter) => {
    const statement = statementOf(adapter);
    return { ...statement, predicate: { ...statement.predicate, user: server.user } };
  };
}

const OF_NOBODY = ['deviceId', 'keys', 'modes'];

it('removes all of a user before it sends anything for another one (DEV-28)', async () => {
  const { server, phone } = await usedDevice();
  erase(server);
  await phone.sync();
  expect([server.applied, [...server.reports], [...server.ratings]]).toEqual([[], [], []]);
  expect([...phone.disk.content]).toEqual([]);
  const left = [...phone.disk.state].filter(([key]) => !OF_NOBODY.includes(key));
  const empty = { cursor: expect.any(String), slots: {}, owed: [], shipped: {} };
  expect(Object.fromEntries(left)).toEqual({
    ...{ user: 'another user', shelf: empty, numbering: expect.anything() },
  });
  await phone.parts.outbox.add([changeNamed('after')]);
  server.publish('subject', 'learnt of the second user');
  await phone.sync();
  expect(server.applied.map(({ recordId }) => recordId)).toEqual(['after']);
  expect(phone.shelf.slots.subject?.installed?.sha256).toBe(server.live('subject')?.sha256);
});

it('sends nothing of the former user wherever it is killed on the way (DEV-28)', async () => {
  for (let afterSteps = 1; afterSteps < 60; afterSteps += 1) {
    const { server, phone } = await usedDevice();
    erase(server);
    phone.start({ afterSteps, whole: afterSteps % 2 === 0 });
    await phone.sync();
    phone.start(null);
    expect(await phone.sync()).toBe('done');
    expect([server.applied, [...server.reports]]).toEqual([[], []]);
    expect([...phone.disk.content]).toEqual([]);
    expect([...phone.disk.state.keys()].filter((key) => key.includes('/'))).toEqual([]);
  }
});

it('numbers what is added while it is wiped as all that comes after it (DEV-28)', async () => {
  const { server, phone } = await usedDevice();
  erase(server);
  const { outbox } = phone.parts;
  const adding = Array.from({ length: 20 }, (_, n) => outbox.add([changeNamed(`late ${n}`)]));
  await Promise.all([phone.sync(), ...adding]);
  await outbox.add([changeNamed('last')]);
  await phone.sync();
  const applied = server.applied.map(({ recordId }) => recordId);
  expect(applied.at(-1)).toBe('last');
  expect(new Set(applied).size).toBe(applied.length);
  expect(await outbox.size()).toBe(0);
});

it('drops an answer that comes when its user has left, and keeps the others (DEV-28)', async () => {
  const { server, phone } = await usedDevice();
  const { parts } = phone;
  const answered = (owner: string | null, text: string) => {
    const report = { clientId: text, mode: 'subject', input: {}, text, adapterId: null };
    return keepFor(parts, owner, () => parts.reports.add(report));
  };
  const former = await ownerOf(parts);
  erase(server);
  await Promise.all([phone.sync(), answered(former, 'in the midst of it')]);
  await answered(former, 'after it');
  await answered(await ownerOf(parts), 'of the next user');
  await phone.sync();
  expect([...server.reports.keys()]).toEqual(['of the next user']);
});

it('leaves nothing of a user on a device that was turned away, not even its name (DEV-29)', async () => {
  const { phone } = await usedDevice();
  await phone.parts.storage.write([['deviceId', 'phone']]);
  await disown(phone.parts);
  expect([...phone.disk.state.keys()].sort()).toEqual(['keys', 'modes']);
  expect([...phone.disk.content]).toEqual([]);
});
