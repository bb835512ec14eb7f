import { expect, it } from 'vitest';
import { OracleServer } from './oracle-server.ts';
import { TestDevice } from './test-device.ts';

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
