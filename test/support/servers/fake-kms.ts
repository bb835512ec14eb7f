import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { listedMasterKeys, type MasterKey } from '../../../src/sealing/master-keys.ts';

/** A key management service on this machine; `failures` calls are answered with 503 first. */
export async function startFakeKms(token: string) {
  const keys: MasterKey[] = [];
  const asked: string[] = [];
  const state = { failures: 0 };
  const master = listedMasterKeys(() => Promise.resolve(keys), 'the service');
  const answer = async (path: string, body: Record<string, string>) => {
    const { context = '', key = '', keyId = '', bytes = '' } = body;
    if (path === '/kms/key') return { keyId: await master.currentId() };
    if (path === '/kms/unwrap') {
      const unwrapped = await master.unwrap({ masterKeyId: keyId, bytes }, context);
      return { key: Buffer.from(unwrapped).toString('base64') };
    }
    const wrapped = await master.wrap(Buffer.from(key, 'base64'), context);
    return { keyId: wrapped.masterKeyId, bytes: wrapped.bytes };
  };
  const server = createServer(async (request, response) => {
    asked.push(request.url ?? '');
    const send = (status: number, body: object) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (request.headers.authorization !== `Bearer ${token}`) return send(403, {});
    state.failures -= 1;
    if (state.failures >= 0) return send(503, {});
    try {
      const body = JSON.parse((await text(request)) || '{}') as Record<string, string>;
      send(200, await answer(request.url ?? '', body));
    } catch {
      send(400, {});
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/kms/`,
    /** The newest first. */
    keys,
    asked,
    state,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
