import { beforeEach, describe, expect, it } from 'vitest';
import { OracleServer } from '../oracle/oracle-server.ts';
import { changeNamed, TestDevice } from '../test-device.ts';

describe('the outbox', () => {
  let server: OracleServer;
  let phone: TestDevice;
  const add = (...names: string[]) =>
    phone.parts.outbox.add(names.map((name) => changeNamed(name)));
  const applied = () => server.applied.map(({ recordId }) => recordId);

  beforeEach(() => {
    server = new OracleServer();
    phone = new TestDevice(server, 'phone');
  });

  it('goes on behind what the server has of a device of its name (DEV-3)', async () => {
    await add('a', 'b');
    await phone.sync();
    phone.wipe();
    await add('c');
    expect(await phone.sync()).toBe('done');
    expect(applied()).toEqual(['a', 'b', 'c']);
  });

  it('numbers anew what is left when the server was set back (DEV-3)', async () => {
    await add('a', 'b', 'c');
    await phone.sync();
    server.devices.get('phone')?.answers.splice(1);
    await add('d', 'e');
    expect(await phone.sync()).toBe('done');
    expect(applied()).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(server.devices.get('phone')?.answers).toHaveLength(3);
  });

  it('sends again, behind the rest, what another device of its name has used the numbers for (DEV-3)', async () => {
    await add('a');
    await phone.sync();
    const state = new Map(phone.disk.state);
    await add('b', 'c');
    await phone.sync();
    for (const key of phone.disk.state.keys()) phone.disk.state.delete(key);
    for (const [key, value] of state) phone.disk.state.set(key, value);
    await add('x', 'c', 'y');
    expect(await phone.sync()).toBe('done');
    expect(applied()).toEqual(['a', 'b', 'c', 'y', 'x']);
  });

  it('keeps what the server refuses for good, for the app to see, and sends the rest', async () => {
    await phone.parts.outbox.add([changeNamed('bad', 'unknown'), changeNamed('good')]);
    await phone.sync();
    expect(applied()).toEqual(['good']);
    expect(await phone.parts.outbox.rejected()).toEqual([
      { change: changeNamed('bad', 'unknown'), reason: 'unknown source' },
    ]);
    await phone.parts.outbox.dismissRejected();
    expect(await phone.parts.outbox.rejected()).toEqual([]);
  });

  it('sends more than one push takes in several', async () => {
    await add(...Array.from({ length: 2500 }, (_, n) => `r${n}`));
    await phone.sync();
    expect(applied()).toHaveLength(2500);
    expect(await phone.parts.outbox.size()).toBe(0);
  });

  it('does not take what no push could carry', async () => {
    const long = { ...changeNamed('long'), data: 'x'.repeat(1_000_001) };
    await expect(phone.parts.outbox.add([long])).rejects.toThrow(/at most 1000000 fit/);
    const never = { ...changeNamed('never'), occurredAt: 'soon' };
    await expect(phone.parts.outbox.add([never])).rejects.toThrow(/is soon; it must be an ISO/);
  });

  it('gives up on a server that asks for other numbers again and again', async () => {
    await add('a');
    await phone.sync();
    await add('b');
    await phone.parts.outbox.continueFrom(9);
    const { fetch } = server;
    const gap = { data: { pushChanges: { __typename: 'PushGap', expectedMutationId: 5 } } };
    const api = phone.parts.api as unknown as { access: { fetch: typeof fetch } };
    api.access.fetch = (url, init) =>
      String(init?.body).includes('"Push"')
        ? Promise.resolve(Response.json(gap))
        : fetch(url, init);
    expect(await phone.sync()).toBe('failed');
    expect(await phone.parts.outbox.size()).toBe(1);
  });
});
