// Master keys that never leave a key management service: it wraps and unwraps, over three calls that a few lines put before
// any such service (docs/privacy.md).

import { type Clock, systemClock } from '../lib/clock.ts';
import type { MasterKeys, WrappedKey } from './master-keys.ts';

/** A call that takes longer has failed. */
const CALL_MS = 10_000;
/** A failure that may pass is tried again after these waits. */
const RETRY_MS = [200, 1_000];

/** Where the service is, and what it wants to hear. */
export interface KmsOptions {
  readonly url: string;
  /** Sent as a bearer token. */
  readonly token?: string | undefined;
  readonly clock?: Clock;
}

/** The master keys of a service: `GET url/key` names the current one, `POST url/wrap` and `POST url/unwrap` use them.
 *  Throws when the service refuses, and when it is out of reach three times. */
export function kmsMasterKeys({ url, token, clock = systemClock }: KmsOptions): MasterKeys {
  const base = url.replace(/\/+$/, '');
  const call = async (path: string, body?: object): Promise<Record<string, string>> => {
    for (const waitMs of [...RETRY_MS, null]) {
      try {
        return await ask(`${base}/${path}`, token, body);
      } catch (error) {
        if (error instanceof Refusal || waitMs === null) throw error;
        await clock.sleep(waitMs);
      }
    }
    throw new Error('must hold: the last try returns or throws');
  };
  return {
    // whatever no other source knows
    knows: () => Promise.resolve(true),
    currentId: async () => field(await call('key'), 'keyId'),
    wrap: async (key, context): Promise<WrappedKey> => {
      const answer = await call('wrap', { key: Buffer.from(key).toString('base64'), context });
      return { masterKeyId: field(answer, 'keyId'), bytes: field(answer, 'bytes') };
    },
    unwrap: async ({ masterKeyId: keyId, bytes }, context) =>
      Buffer.from(field(await call('unwrap', { keyId, bytes, context }), 'key'), 'base64'),
  };
}

/** The service has understood and said no. */
class Refusal extends Error {
  override readonly name = 'Refusal';
}

async function ask(
  url: string,
  token: string | undefined,
  body: object | undefined,
): Promise<Record<string, string>> {
  const headers = {
    'content-type': 'application/json',
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
  const request =
    body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) };
  const signal = AbortSignal.timeout(CALL_MS);
  const response = await fetch(url, { ...request, signal }).catch((cause) => {
    throw new Error(`the key management service at ${url} is out of reach`, { cause });
  });
  if (response.ok) return (await response.json()) as Record<string, string>;
  const message = `the key management service answered ${url} with ${response.status}`;
  const isFinal = response.status < 500 && response.status !== 429;
  throw isFinal ? new Refusal(message) : new Error(message);
}

function field(answer: Record<string, string>, name: string): string {
  const value = answer[name];
  if (typeof value === 'string' && value !== '') return value;
  throw new Refusal(`the key management service's answer has no ${name}`);
}
