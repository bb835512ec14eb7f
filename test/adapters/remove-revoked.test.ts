import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { publishAdapter } from '../../src/adapters/publish.ts';
import { liveAdapter } from '../../src/adapters/registry.ts';
import { removeRevokedBytes } from '../../src/adapters/remove-revoked.ts';
import { revokeAdapters } from '../../src/adapters/revoke.ts';
import { sealOldAdapters } from '../../src/adapters/seal-old.ts';
import { type AdapterStore, openAdapterStore } from '../../src/adapters/store.ts';
import { vaultOf } from '../../src/db/sealed-columns.ts';
import { lockUser } from '../../src/db/user-row.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { candidateOf, newTrainee } from './fixture.ts';

describeEachDatabase('files of adapters', (database) => {
  let dir: string;
  let store: AdapterStore;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'attune-removal-'));
    store = await openAdapterStore(dir, vaultOf(database().kysely));
  });
  afterAll(() => rm(dir, { recursive: true }));

  const folderOf = async (content: string) => {
    const folder = await mkdtemp(join(dir, 'trained-'));
    await writeFile(join(folder, 'adapter_config.json'), '{}');
    await writeFile(join(folder, 'adapter_model.safetensors'), content);
    return folder;
  };

  async function newOwner() {
    const trainee = await newTrainee(database());
    const { db, deps, userId, startRun } = trainee;
    const publish = async (content: string) => {
      const folder = await folderOf(content);
      const stored = await store.put(folder, userId);
      const parentId = (await liveAdapter(db, userId, 'subject'))?.id ?? null;
      const candidate = { ...candidateOf(content, { parentId }), ...stored };
      const isStored = () => store.isIntact({ userId, sha256: stored.sha256 });
      return publishAdapter(deps, await startRun(), candidate, isStored);
    };
    const revoke = (id: string) =>
      db.transaction().execute(async (tx) => {
        await lockUser(tx, userId);
        await revokeAdapters(tx, userId, [id], { reason: 'ROLLED_BACK', now: new Date() });
      });
    const isThere = (content: string) => store.isIntact({ userId, sha256: sha256(content) });
    return { ...trainee, publish, revoke, isThere };
  }

  it('go once they are revoked, unless another version needs the same bytes', async () => {
    const { db, publish, revoke, isThere, userId } = await newOwner();
    const first = await publish('one');
    const second = await publish('two');
    const third = await publish('one');
    await revoke(first.id);
    await revoke(second.id);
    expect(await removeRevokedBytes({ db, store }, userId)).toBe(1);
    expect([await isThere('one'), await isThere('two')]).toEqual([true, false]);
    await revoke(third.id);
    await removeRevokedBytes({ db, store });
    expect(await isThere('one')).toBe(false);
    expect(await removeRevokedBytes({ db, store }, userId)).toBe(0);
    // the same bytes may come back
    await publish('two');
    await removeRevokedBytes({ db, store }, userId);
    expect(await isThere('two')).toBe(true);
  });

  it('are looked for again in the moment of publishing', async () => {
    const { db, deps, userId, publish, revoke, startRun } = await newOwner();
    const before = await publish('same');
    const stored = await store.put(await folderOf('same'), userId);
    await revoke(before.id);
    await removeRevokedBytes({ db, store }, userId);
    const late = publishAdapter(deps, await startRun(), { ...candidateOf('same'), ...stored }, () =>
      store.isIntact({ userId, sha256: stored.sha256 }),
    );
    await expect(late).rejects.toThrow('gone from the store');
  });

  it('that lay plain before are sealed for each user who has them', async () => {
    const [ann, bob] = [await newOwner(), await newOwner()];
    const { db } = ann;
    const plain = await store.put(await folderOf('from before'), null);
    const shipped = await store.put(await folderOf('shipped'), null);
    for (const { publish, userId } of [ann, bob]) {
      await publish('from before');
      await store.removeAll(userId);
    }
    await sealOldAdapters({ db, store });
    for (const { isThere } of [ann, bob]) expect(await isThere('from before')).toBe(true);
    expect(await store.isIntact({ userId: null, sha256: plain.sha256 })).toBe(false);
    expect(await store.isIntact({ userId: null, sha256: shipped.sha256 })).toBe(true);
    const names = await readdir(join(dir, 'adapters'));
    expect(names.sort()).toEqual([shipped.sha256, 'users'].sort());
  });
});
