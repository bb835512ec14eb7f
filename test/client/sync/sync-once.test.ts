import { expect, it } from 'vitest';
import { LEASE_MS } from '../oracle/oracle-feed.ts';
import { OracleServer } from '../oracle/oracle-server.ts';
import { TestDevice } from '../test-device.ts';

it('puts right what the server believes of a device that was wiped (DEV-9)', async () => {
  const server = new OracleServer();
  const phone = new TestDevice(server, 'phone');
  server.publish('subject', 'one');
  await phone.sync();
  phone.wipe();
  server.publish('subject', 'two');
  server.revoke('subject');
  expect(server.devices.get('phone')?.held.get('subject')).toBe('adapter 1');
  await phone.sync();
  expect([...(server.devices.get('phone')?.held ?? [])]).toEqual([]);
});

it('fetches no byte twice for an adapter whose bytes it has under another version (DEV-8)', async () => {
  const server = new OracleServer();
  const phone = new TestDevice(server, 'phone');
  server.publish('subject', 'one');
  server.publish('reply', 'one');
  await phone.sync();
  expect(phone.installed).toEqual({ subject: 'adapter 1', reply: 'adapter 2' });
  expect([...server.sentBytes.values()]).toEqual(['one'.length]);
  server.revoke('reply');
  await phone.sync();
  expect([...phone.disk.content.keys()]).toHaveLength(1);
  server.revoke('subject');
  await phone.sync();
  expect([...phone.disk.content.keys()]).toEqual([]);
});

it('reads the feed again when it holds something else than the feed has said (DEV-13)', async () => {
  const server = new OracleServer();
  const phone = new TestDevice(server, 'phone');
  server.publish('subject', 'one');
  server.publish('reply', 'two');
  await phone.sync();
  // as after a bug, or a disk that was put back: the cursor is right and what it stands for is not
  const { subject: _lost, ...slots } = phone.shelf.slots;
  await phone.parts.shelf.update((now) => ({ ...now, slots }));
  const asked: unknown[] = [];
  server.onOperation = (name, { after }) => name === 'Feed' && asked.push(after);
  expect(await phone.sync()).toBe('done');
  expect(asked).toEqual([expect.any(String), null]);
  expect(phone.installed).toEqual({ subject: 'adapter 1', reply: 'adapter 2' });
});

it('resyncs once in a pass, whatever the server says (DEV-5, DEV-13)', async () => {
  const server = new OracleServer();
  const phone = new TestDevice(server, 'phone');
  server.publish('subject', 'one');
  await phone.sync();
  const asked: unknown[] = [];
  server.onOperation = (name, { after }) => name === 'Feed' && asked.push(after);
  server.checksum = () => 'another';
  expect(await phone.sync()).toBe('failed');
  expect(asked).toEqual([expect.any(String), null]);
  expect(phone.installed).toEqual({ subject: 'adapter 1' });
});

it('removes, when it comes back after its lease, what was withdrawn meanwhile (DEV-5)', async () => {
  const server = new OracleServer();
  const [phone, tablet] = [new TestDevice(server, 'phone'), new TestDevice(server, 'tablet')];
  server.publish('subject', 'one');
  await phone.sync();
  await tablet.sync();
  server.revoke('subject');
  await tablet.sync();
  server.now += LEASE_MS;
  await tablet.sync();
  // this publication trims the revocation that only the phone still needed
  server.publish('reply', 'two');
  await phone.sync();
  expect(phone.installed).toEqual({ reply: 'adapter 2' });
  expect([...(server.devices.get('phone')?.held ?? [])]).toEqual([['reply', 'adapter 2']]);
});

it('has what ships with a mode where the user has nothing of it (DEV-14)', async () => {
  const server = new OracleServer();
  const phone = new TestDevice(server, 'phone');
  server.ship('subject', 'first words');
  await phone.sync();
  expect(phone.installed).toEqual({ subject: 'adapter 1' });
  expect(server.devices.get('phone')?.held.get('subject')).toBe('adapter 1');
  server.publish('subject', 'own');
  await phone.sync();
  expect(phone.installed).toEqual({ subject: 'adapter 2' });
  server.ship('subject', 'second words');
  await phone.sync();
  expect(phone.installed).toEqual({ subject: 'adapter 2' });
  server.revoke('subject');
  await phone.sync();
  expect(phone.installed).toEqual({ subject: 'adapter 3' });
  server.ship('subject', null);
  await phone.sync();
  expect(phone.installed).toEqual({});
  expect([...phone.disk.content.keys()]).toEqual([]);
  // numbers of one kind say nothing of the other
  server.publish('subject', 'again');
  await phone.sync();
  expect(phone.installed).toEqual({ subject: 'adapter 4' });
});
