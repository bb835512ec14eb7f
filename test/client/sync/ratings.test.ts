import { expect, it } from 'vitest';
import { OracleServer } from '../oracle/oracle-server.ts';
import { changeNamed, TestDevice } from '../test-device.ts';

const report = (clientId: string) => ({
  ...{ clientId, mode: 'subject', input: { body: 'The oars are gone.' } },
  ...{ text: clientId, adapterId: null },
});

/** A device, and the ratings that its server was sent. */
function setUp() {
  const server = new OracleServer();
  const phone = new TestDevice(server, 'phone');
  const sent: unknown[] = [];
  server.onOperation = (name, { input }) => name === 'Rate' && sent.push(input);
  return { server, phone, sent };
}

it('sends a rating after the report of its answer, and only the last one of an answer (DEV-24)', async () => {
  const { server, phone, sent } = setUp();
  const { reports, ratings } = phone.parts;
  await reports.add(report('a'));
  await reports.add(report('b'));
  const [a, b] = [
    { clientId: 'a', id: null },
    { clientId: 'b', id: null },
  ];
  await ratings.add(a, { verdict: 'UP' });
  await ratings.add(a, { better: 'Oars', preferred: b });
  server.faults.push('none', 'none', 'none', 'lost-request');
  expect(await phone.sync()).toBe('failed');
  expect(sent).toEqual([]);
  phone.start(null);
  expect(await phone.sync()).toBe('done');
  const better = { completionId: 'answer a', better: 'Oars', preferredCompletionId: 'answer b' };
  expect(sent).toEqual([better]);
  // long after it was reported, and an answer of the cloud
  await phone.parts.ratings.add(b, { verdict: 'DOWN' });
  await phone.parts.ratings.add({ clientId: 'c', id: 'answer a' }, { verdict: 'UP' });
  await phone.sync();
  expect(sent.slice(1)).toEqual([
    { completionId: 'answer b', verdict: 'DOWN' },
    { completionId: 'answer a', verdict: 'UP' },
  ]);
});

it('keeps what was said anew while the rating before was on its way (DEV-24)', async () => {
  const { server, phone, sent } = setUp();
  const { reports, ratings } = phone.parts;
  await reports.add(report('a'));
  await ratings.add({ clientId: 'a', id: null }, { verdict: 'UP' });
  server.onOperation = (name) => {
    if (name !== 'Rate') return 0;
    server.onOperation = (again, { input }) => again === 'Rate' && sent.push(input);
    return ratings.add({ clientId: 'a', id: null }, { verdict: 'DOWN' });
  };
  await phone.sync();
  await phone.sync();
  expect(sent).toEqual([{ completionId: 'answer a', verdict: 'DOWN' }]);
});

it('lets go of what the server will never take, and refuses what it will never know (DEV-24)', async () => {
  const { phone } = setUp();
  const { ratings } = phone.parts;
  await ratings.add({ clientId: 'x', id: 'answer of another user' }, { verdict: 'UP' });
  expect(await phone.sync()).toBe('done');
  expect([...phone.disk.state.keys()].filter((key) => key.startsWith('rating/'))).toEqual([]);
  const unknown = ratings.add({ clientId: 'kept here', id: null }, { verdict: 'UP' });
  await expect(unknown).rejects.toThrow('knows no answer kept here');
});

it('reports and rates what was answered before a delete before it pushes that (DEV-32)', async () => {
  const { server, phone } = setUp();
  const told: string[] = [];
  server.onOperation = (name, { input }) => {
    const { changes = [] } = (input ?? {}) as {
      changes?: readonly { recordId: string; kind: string }[];
    };
    const names = changes.map(({ recordId, kind }) => `${kind} ${recordId}`);
    if (['Push', 'Report', 'Rate'].includes(name)) told.push([name, ...names].join(' '));
  };
  const { outbox, reports, ratings } = phone.parts;
  const gone = { source: 'notes', kind: 'DELETE' as const, occurredAt: '2026-01-01T00:00:00.000Z' };
  const changes = [changeNamed('a'), changeNamed('b'), { ...gone, recordId: 'a' }];
  await outbox.add([...changes, changeNamed('c'), { ...gone, recordId: 'b' }]);
  await reports.add(report('of a'));
  await ratings.add({ clientId: 'of a', id: null }, { verdict: 'UP' });
  expect(await phone.sync()).toBe('done');
  const rest = 'DELETE a UPSERT c DELETE b';
  expect(told.splice(0)).toEqual(['Push UPSERT a UPSERT b', 'Report', 'Rate', `Push ${rest}`]);
  // with nothing to tell, a push is not cut
  await outbox.add([changeNamed('d'), { ...gone, recordId: 'd' }]);
  await phone.sync();
  expect(told).toEqual(['Push UPSERT d DELETE d']);
});

it('pushes a delete though the server fails on a report, which waits', async () => {
  const { server, phone } = setUp();
  const { outbox, reports } = phone.parts;
  await outbox.add([{ ...changeNamed('a'), kind: 'DELETE' }]);
  await reports.add(report('of a'));
  server.broken.add('Report');
  expect(await phone.sync()).toBe('failed');
  expect(await outbox.batch()).toEqual([]);
  server.broken.clear();
  phone.start(null);
  expect(await phone.sync()).toBe('done');
  expect([...server.reports.keys()]).toEqual(['of a']);
});
