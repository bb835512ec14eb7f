import { execFile } from 'node:child_process';
import { createPublicKey, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { toGlobalId } from '../../src/lib/global-id.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { openManifestKeys, rotateManifestKeys } from '../../src/sync/manifest-keys.ts';
import type { AdapterStatement, Envelope, PublicKey } from '../../src/sync/protocol-manifest.ts';
import { filesOf, publishTo } from '../adapters/fixture.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';

describeWithDatabase('manifests', (database) => {
  let api: Api;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'attune-manifests-'));
    api = await startApi(database());
  });
  afterAll(async () => {
    await api.close();
    await rm(folder, { recursive: true });
  });

  const get = async (user: string, path: string) =>
    fetch(api.url + path, { headers: { authorization: `Bearer ${await api.token(user)}` } });

  /** A published adapter of these bytes, and where its manifest is. */
  const publish = async (user: string, content: string) => {
    const files = filesOf(content);
    const stored = { sha256: sha256(content), files };
    const adapter = await publishTo(database(), api.services, { subject: user }, () =>
      Promise.resolve(stored),
    );
    return { adapter, path: `/manifests/${toGlobalId('Adapter', adapter.id)}` };
  };

  const statementIn = (envelope: Envelope) =>
    JSON.parse(Buffer.from(envelope.payload, 'base64').toString()) as AdapterStatement;

  it('say whose adapter it is, of which bytes, and what it took the place of (SIGN-2, SIGN-3)', async () => {
    const user = randomUUID();
    const first = await publish(user, 'one');
    const second = await publish(user, 'two');
    const response = await get(user, second.path);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const { predicate, subject } = statementIn((await response.json()) as Envelope);
    expect(predicate).toMatchObject({
      user: toGlobalId('User', second.adapter.userId ?? ''),
      adapterId: toGlobalId('Adapter', second.adapter.id),
      mode: 'subject',
      version: 2,
      base: second.adapter.baseSha256,
      files: filesOf('two'),
      changeSeq: 3,
      previous: { version: 1, sha256: first.adapter.sha256 },
    });
    expect(subject).toEqual(
      filesOf('two').map((file) => ({ name: file.name, digest: { sha256: file.sha256 } })),
    );
    expect(Date.parse(predicate.expires)).toBeGreaterThan(Date.now());
  });

  it('go to those who may install the adapter, and to nobody else (SIGN-5)', async () => {
    const user = randomUUID();
    const { adapter, path } = await publish(user, 'mine');
    expect((await get(randomUUID(), path)).status).toBe(404);
    expect((await get(user, '/manifests/nonsense')).status).toBe(404);
    expect((await fetch(api.url + path)).status).toBe(401);
    await database()
      .kysely.updateTable('adapters')
      .set({ status: 'REVOKED' })
      .where('id', '=', adapter.id)
      .execute();
    expect((await get(user, path)).status).toBe(404);
  });

  it('are confirmed by openssl, with the key that is shown to all (SIGN-1, SIGN-4)', async () => {
    const user = randomUUID();
    const { path } = await publish(user, 'verified');
    const envelope = (await (await get(user, path)).json()) as Envelope;
    const shown = await fetch(`${api.url}/.well-known/attune-keys.json`);
    const { keys } = (await shown.json()) as { keys: (PublicKey & { d?: string })[] };
    expect(keys.every(({ d }) => d === undefined)).toBe(true);
    const [signature] = envelope.signatures;
    const key = keys.find(({ kid }) => kid === signature?.keyid);
    const pem = createPublicKey({ key: { ...key }, format: 'jwk' });
    await writeFile(join(folder, 'key.pem'), pem.export({ type: 'spki', format: 'pem' }));
    await writeFile(join(folder, 'sig'), Buffer.from(signature?.sig ?? '', 'base64'));
    const payload = Buffer.from(envelope.payload, 'base64');
    // DSSE's encoding, written out: what an independent verifier would do
    const type = envelope.payloadType;
    const verify = async (content: Buffer) => {
      const head = `DSSEv1 ${type.length} ${type} ${content.length} `;
      await writeFile(join(folder, 'message'), Buffer.concat([Buffer.from(head), content]));
      const args = ['-pubin', '-inkey', 'key.pem', '-rawin', '-in', 'message', '-sigfile', 'sig'];
      return promisify(execFile)('openssl', ['pkeyutl', '-verify', ...args], { cwd: folder });
    };
    expect((await verify(payload)).stdout).toMatch(/Verified Successfully/);
    const forged = Buffer.from(payload.toString().replace('"version":1', '"version":2'));
    await expect(verify(forged)).rejects.toThrow();
  });
});

describe('the keys of manifests', () => {
  const temporary = useTemporaryFolder();

  it('are made once, also when two servers start at once, and are readable by their owner alone', async () => {
    const [one, two] = await Promise.all([
      openManifestKeys(temporary()),
      openManifestKeys(temporary()),
    ]);
    expect(await one.publicKeys()).toEqual(await two.publicKeys());
    expect((await stat(temporary('manifest-keys.json'))).mode & 0o777).toBe(0o600);
  });

  it('are changed while a server runs; the one before is still shown (SIGN-4)', async () => {
    const keys = await openManifestKeys(temporary());
    const [first] = await keys.publicKeys();
    const kid = await rotateManifestKeys(temporary());
    expect((await keys.publicKeys()).map((key) => key.kid)).toEqual([kid, first?.kid]);
    const statement = { predicateType: 'x' } as AdapterStatement;
    expect((await keys.sign(statement)).signatures[0]?.keyid).toBe(kid);
    expect((await stat(temporary('manifest-keys.json'))).mode & 0o777).toBe(0o600);
  });

  it('are shown for a day after they signed, however often they are changed; two before always are (SIGN-4)', async () => {
    const keys = await openManifestKeys(temporary());
    const HOUR_MS = 60 * 60 * 1000;
    const rotateAfter = (hours: number) =>
      rotateManifestKeys(temporary(), { ...systemClock, now: () => hours * HOUR_MS });
    const [first] = (await keys.publicKeys()).map(({ kid }) => kid);
    const kids: string[] = [];
    for (const hours of [0, 1, 2, 3]) kids.unshift(await rotateAfter(hours));
    const shown = async () => (await keys.publicKeys()).map(({ kid }) => kid);
    expect(await shown()).toEqual([...kids, first]);
    for (const key of await keys.publicKeys())
      expect(Object.keys(key).sort()).toEqual(['crv', 'kid', 'kty', 'x']);
    // those of the hours 2 and 3 signed within the last day
    kids.unshift(await rotateAfter(26));
    expect(await shown()).toEqual(kids.slice(0, 3));
    kids.unshift(await rotateAfter(99));
    expect(await shown()).toEqual(kids.slice(0, 3));
  });

  it('are all kept when they are changed twice at once, and what a kill has left goes', async () => {
    const keys = await openManifestKeys(temporary());
    await writeFile(temporary('manifest-keys.json.5e8a.tmp'), 'half of a file with secrets');
    const kids = await Promise.all([1, 2].map(() => rotateManifestKeys(temporary())));
    const shown = (await keys.publicKeys()).map(({ kid }) => kid);
    expect(shown).toEqual(expect.arrayContaining(kids));
    expect(shown).toHaveLength(3);
    expect((await readdir(temporary())).sort()).toEqual([
      ...['manifest-keys.json', 'manifest-keys.lock'],
    ]);
  });

  it('are not replaced when their file is damaged', async () => {
    await writeFile(temporary('manifest-keys.json'), '{');
    await expect(openManifestKeys(temporary())).rejects.toThrow(/damaged; remove it/);
    expect(await readFile(temporary('manifest-keys.json'), 'utf8')).toBe('{');
  });
});
