import { beforeEach, describe, expect, it } from 'vitest';
import { verifyByWebCrypto } from '../../../src/client/sync/check-manifest.ts';
import { syncOnce } from '../../../src/client/sync/sync-once.ts';
import { Trust } from '../../../src/client/sync/trust.ts';
import { must } from '../../../src/lib/errors.ts';
import { makeManifestKey } from '../../../src/sync/manifest-keys.ts';
import type { AdapterStatement } from '../../../src/sync/protocol-manifest.ts';
import { statementOf } from '../oracle/oracle-files.ts';
import { OracleServer } from '../oracle/oracle-server.ts';
import { TestDevice } from '../test-device.ts';

type Predicate = AdapterStatement['predicate'];

describe('a device', () => {
  let server: OracleServer;
  let phone: TestDevice;
  beforeEach(() => {
    server = new OracleServer();
    phone = new TestDevice(server, 'phone');
  });

  const failure = () => phone.shelf.slots.subject?.failure;
  const say = (change: Partial<Predicate>) => {
    server.statementOf = (adapter) => {
      const statement = statementOf(adapter);
      return { ...statement, predicate: { ...statement.predicate, ...change } };
    };
  };

  it('installs what the server has signed, and tells when it has not (SIGN-1)', async () => {
    server.publish('subject', 'one');
    await phone.sync();
    expect(phone.installed).toEqual({ subject: 'adapter 1' });
    server.forger = { ...makeManifestKey(), kid: server.key.kid };
    server.publish('subject', 'two');
    await phone.sync();
    expect(failure()).toMatch(/no key that is trusted/);
    expect(phone.installed).toEqual({ subject: 'adapter 1' });
    expect(server.words.at(-1)).toBe('phone FAILED adapter 2');
  });

  it.each<[string, Partial<Predicate>, RegExp]>([
    ['is expired', { expires: '1969-12-31T23:59:59.000Z' }, /expired at 1969/],
    ['never says when it expires', { expires: 'never' }, /expired at never/],
    ['is for another base', { base: 'other' }, /another base, other/],
    ['names another version', { version: 7 }, /version 7/],
    ['names another adapter', { adapterId: 'other' }, /that of subject other/],
    ['passes it off as a shipped one', { shipped: true }, /that of a shipped adapter/],
    ['names another mode', { mode: 'reply' }, /that of reply/],
    ['names other files', { files: [{ name: 'f', sizeBytes: 1, sha256: 'x' }] }, /other files/],
  ])('installs nothing when its manifest %s (SIGN-2)', async (_, change, reason) => {
    say(change);
    server.publish('subject', 'one');
    await phone.sync();
    expect(failure()).toMatch(reason);
    expect(phone.installed).toEqual({});
    expect(server.sentBytes.size).toBe(0);
  });

  it('takes no other kind of statement for a manifest (SIGN-2)', async () => {
    server.statementOf = (adapter) => ({ ...statementOf(adapter), predicateType: 'urn:other' });
    server.publish('subject', 'one');
    await phone.sync();
    expect(failure()).toMatch(/is a urn:other/);
  });

  it('takes no manifest of another user once it knows its own (SIGN-2)', async () => {
    server.publish('subject', 'one');
    await phone.sync();
    say({ user: 'somebody else' });
    server.publish('subject', 'two');
    await phone.sync();
    expect(failure()).toMatch(/another user's/);
  });

  it('goes back to old bytes in a higher version, never to a lower version (SIGN-3)', async () => {
    server.publish('subject', 'one');
    server.publish('subject', 'two');
    await phone.sync();
    server.rollback('subject');
    await phone.sync();
    expect(phone.installed).toEqual({ subject: 'adapter 3' });
    const old = must(server.adapters[0], 'the first adapter');
    old.status = 'LIVE';
    const replayed = { ...old, id: 'adapter 1' };
    const refusal = phone.parts.trust.refusal(
      replayed,
      {
        newestVersion: phone.shelf.slots.subject?.newestVersion ?? 0,
        ...{ base: null, user: 'the user' },
      },
      new AbortController().signal,
    );
    expect(await refusal).toMatch(/version 1 after version 3/);
  });

  it('keeps in use what it has installed, also when every manifest has expired (SIGN-2)', async () => {
    server.publish('subject', 'one');
    await phone.sync();
    phone.now = Date.parse('2030-01-01');
    await phone.sync();
    expect(phone.installed).toEqual({ subject: 'adapter 1' });
    server.publish('subject', 'two');
    await phone.sync();
    expect(failure()).toMatch(/expired/);
    expect(phone.installed).toEqual({ subject: 'adapter 1' });
  });

  it('follows the server to a new key, unless the app has named the keys (SIGN-4)', async () => {
    server.publish('subject', 'one');
    await phone.sync();
    const first = server.key;
    server.key = makeManifestKey();
    const second = server.publish('subject', 'two');
    const { api, storage } = phone.parts;
    const pinned = new Trust(storage, api, { verify: verifyByWebCrypto, keys: [first] });
    const known = { newestVersion: 1, base: null, user: 'the user' };
    const { signal } = new AbortController();
    expect(await pinned.refusal(second, known, signal)).toMatch(/no key that is trusted/);
    await syncOnce(phone.parts, signal);
    expect(phone.installed).toEqual({ subject: 'adapter 2' });
  });
});
