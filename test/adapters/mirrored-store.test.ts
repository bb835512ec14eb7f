import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { openStore } from '../../src/adapters/open-store.ts';
import type { AdapterName, AdapterStore } from '../../src/adapters/store.ts';
import { must } from '../../src/lib/errors.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { readFileIn } from '../../src/sealing/private-folder.ts';
import { folderVault, type Vault } from '../../src/sealing/vault.ts';
import { useS3Server } from '../support/servers/s3-server.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';

const inFolder = useTemporaryFolder();
const TENSORS = 'adapter_model.safetensors';
const ANN = '00000000-0000-4000-8000-00000000000a';

const server = useS3Server();

describe('a store in front of a bucket', () => {
  const tensors = { name: TENSORS, sha256: sha256('tensors'), sizeBytes: 7 };
  let vault: Vault;
  let stores: AdapterStore[];
  let name: AdapterName;
  beforeEach(async () => {
    vault = folderVault(inFolder('keys'));
    await vault.create(ANN);
    const opened = await Promise.all(
      ['one', 'two'].map((folder) =>
        openStore({ folder: inFolder(folder), remoteUrl: server().url }, vault),
      ),
    );
    stores = opened.map(({ store }) => store);
    await mkdir(inFolder('trained'));
    await writeFile(inFolder('trained/adapter_config.json'), '{}');
    await writeFile(join(inFolder('trained'), TENSORS), 'tensors');
    name = { userId: ANN, sha256: (await first().put(inFolder('trained'), ANN)).sha256 };
    return () => {
      for (const { blobs } of opened) blobs?.close();
    };
  });
  const first = () => must(stores[0], 'a store');
  const second = () => must(stores[1], 'a store');
  const tensorsIn = (store: AdapterStore) => join(store.pathOf(name), TENSORS);
  const textIn = async (store: AdapterStore) =>
    (await readFileIn(await store.folderOf(name), TENSORS)).toString();
  const remote = () => `some/prefix/adapters/users/00/${ANN}/${name.sha256}/${TENSORS}`;

  it('hands what one process has put to another, which fetches it once', async () => {
    const asked = await Promise.all([second().isServable(name), second().isServable(name)]);
    expect(asked).toEqual([true, true]);
    expect(await textIn(second())).toBe('tensors');
    expect(await second().isIntact(name)).toBe(true);
    const fetches = server().requests.filter((request) => request === `GET ${remote()}`);
    expect(fetches).toHaveLength(1);
  });

  it.each([
    ['damaged', (path: string) => writeFile(path, 'tensorz')],
    ['lost', (path: string) => rm(path)],
  ])('fetches again what was %s here', async (_, harm) => {
    await harm(tensorsIn(first()));
    expect(await first().isServable(name)).toBe(true);
    expect(await textIn(first())).toBe('tensors');
  });

  it('fetches again what it had checked, when the keys were changed by another process', async () => {
    expect(await second().isServable(name)).toBe(true);
    expect(await second().isWhole(name, tensors)).toBe(true);
    await vault.addGeneration(ANN, Date.now() + 1);
    await vault.useNewest(ANN);
    await first().reseal(name);
    expect(await second().isServable(name)).toBe(true);
    await vault.dropOldGenerations(ANN);
    expect(await second().isServable(name)).toBe(true);
    expect(await textIn(second())).toBe('tensors');
    expect(await second().isWhole(name, tensors)).toBe(true);
  });

  it('serves nothing that is damaged in both places, and keeps no copy of it', async () => {
    server().objects.set(remote(), { bytes: Buffer.from('tensorz'), sha256: undefined });
    expect(await second().isServable(name)).toBe(false);
    expect(await second().isIntact(name)).toBe(false);
    await expect(readFile(tensorsIn(second()))).rejects.toThrow('ENOENT');
  });

  it('carries sealed files only, and removes them everywhere that it can', async () => {
    expect([...server().objects.keys()]).toContain(remote());
    for (const [key, { bytes }] of server().objects)
      expect(Buffer.from(bytes).includes('tensors'), key).toBe(false);
    await first().remove(name);
    expect(server().objects.size).toBe(0);
    expect(await second().isServable(name)).toBe(false);
    await first().put(inFolder('trained'), ANN);
    await second().removeAll(ANN);
    expect(server().objects.size).toBe(0);
  });

  it('says that an adapter is lost when the bucket has none', async () => {
    expect(await second().isServable({ ...name, sha256: sha256('never put') })).toBe(false);
    server().objects.delete(remote());
    expect(await second().isServable(name)).toBe(false);
  });

  it('does not take a bucket that cannot be reached for an adapter that is lost', async () => {
    server().fault = 'busy';
    await expect(second().isServable(name)).rejects.toThrow('SlowDown');
    // what is here already is served without asking
    expect(await first().isServable(name)).toBe(true);
  });

  it('does not call an adapter stored that the bucket has refused', async () => {
    server().fault = 'read-only';
    await writeFile(join(inFolder('trained'), TENSORS), 'others');
    await expect(first().put(inFolder('trained'), ANN)).rejects.toThrow('AccessDenied');
    expect(await second().isServable({ ...name, sha256: sha256('others') })).toBe(false);
  });
});
