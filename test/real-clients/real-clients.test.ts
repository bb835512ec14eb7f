// Client libraries as they are published: what an app sees of answers, errors, refusals and broken connections.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { phone, publish } from '../schema/fixture.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { type FaultProxy, startFaultProxy } from '../support/faults/fault-proxy.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { LIBRARIES } from './libraries.ts';

describeWithDatabase('an unmodified client', (database) => {
  let api: Api;
  let proxy: FaultProxy;
  beforeAll(async () => {
    api = await startApi(database());
    proxy = await startFaultProxy(`${api.url}/graphql`);
  });
  afterAll(async () => {
    await proxy.close();
    await api.close();
  });

  it.each(LIBRARIES)('of %s asks, writes, follows, and sees errors', async (name, open) => {
    const client = open({ url: proxy.url, token: await api.token(name) });
    const { viewer } = await client.run('Viewer');
    expect(viewer.id).toMatch(/^[\w-]+$/);
    const { registerDevice } = await client.run('Register', { input: phone });
    expect(registerDevice.name).toBe(phone.name);
    const found = await client.run('Find', { id: 'nothing' }).catch((thrown) => thrown);
    // Relay shows a field that failed as null, unless the document asks it to throw
    if (name === 'relay-runtime') expect(found).toEqual({ node: null });
    else expect(codesIn(found)).toContain('NOT_FOUND');
    await client.close?.();
  });

  it.each(LIBRARIES.filter(([name]) => name !== 'graphql-request'))(
    'of %s goes on with its subscription when the connection was cut',
    async (name, open) => {
      const client = open({ url: proxy.url, token: await api.token(name) });
      const owner = await api.client(name);
      const versions: number[] = [];
      const errors: unknown[] = [];
      await publish(api, owner, `${name} 1`);
      const stop = client.follow?.(
        ({ adapterEvents }) => versions.push(adapterEvents.adapter.version),
        (error) => errors.push(error),
      );
      await expect.poll(() => versions.at(-1)).toBe(1);
      proxy.cut();
      await publish(api, owner, `${name} 2`);
      await expect.poll(() => versions.at(-1)).toBe(2);
      expect(errors).toEqual([]);
      stop?.();
      await client.close?.();
    },
  );

  it.each(LIBRARIES)('of %s is told that its token is no good', async (name, open) => {
    const client = open({ url: proxy.url, token: 'nonsense' });
    const error = await client.run('Viewer').catch((thrown) => thrown);
    const refusal = name === 'graphql-ws' ? '4401' : 'UNAUTHENTICATED';
    expect(codesIn(error)).toContain(refusal);
    await client.close?.();
  });
});

/** Every code that an error says somewhere, in whatever way its library does. */
function codesIn(error: unknown, depth = 6): string[] {
  if (typeof error === 'string') {
    try {
      return codesIn(JSON.parse(error), depth - 1);
    } catch {
      return [];
    }
  }
  if (typeof error !== 'object' || error === null || depth === 0) return [];
  // a close event has its code in its prototype
  const own = 'code' in error ? [String(error.code)] : [];
  const inner = Object.getOwnPropertyNames(error).flatMap((key) => {
    const value = Reflect.get(error, key);
    return codesIn(value, depth - 1);
  });
  return [...own, ...inner];
}
