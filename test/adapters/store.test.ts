import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type AdapterStore, openAdapterStore } from '../../src/adapters/store.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { readFileIn } from '../../src/sealing/private-folder.ts';
import { folderVault, type Vault } from '../../src/sealing/vault.ts';

const ANN = '00000000-0000-4000-8000-00000000000a';
const BOB = '00000000-0000-4000-8000-00000000000b';

let dir: string;
let vault: Vault;
let store: AdapterStore;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'attune-store-'));
  vault = folderVault(join(dir, 'keys'));
  for (const user of [ANN, BOB]) await vault.create(user);
  store = await openAdapterStore(dir, vault);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** A PEFT folder of made-up content; the store does not read it. */
async function folder(name: string, config = '{}', tensors = 'tensors'): Promise<string> {
  const path = join(dir, name);
  await mkdir(path);
  await writeFile(join(path, 'adapter_config.json'), config);
  await writeFile(join(path, 'adapter_model.safetensors'), tensors);
  return path;
}
const stored = () => readdir(join(dir, 'adapters'));
const shipped = (name: string) => ({ userId: null, sha256: name });
const tensorsPath = (root: string) => join(root, 'adapter_model.safetensors');

it('names a folder by the hash of its tensors and describes its files', async () => {
  const adapter = await store.put(await folder('trained', '{"r":8}'), null);
  expect(adapter).toEqual({
    sha256: sha256('tensors'),
    files: [
      { name: 'adapter_config.json', sizeBytes: 7, sha256: sha256('{"r":8}') },
      { name: 'adapter_model.safetensors', sizeBytes: 7, sha256: sha256('tensors') },
    ],
  });
  expect(await readFile(tensorsPath(store.pathOf(shipped(adapter.sha256))), 'utf8')).toBe(
    'tensors',
  );
  expect(await store.isIntact(shipped(adapter.sha256))).toBe(true);
  expect(await stored()).toEqual([adapter.sha256]);
});

it('keeps the same bytes once, also when they are put twice at once', async () => {
  const trained = await folder('trained');
  const [first, second] = await Promise.all([store.put(trained, null), store.put(trained, null)]);
  expect(second).toEqual(first);
  expect(await store.put(await folder('again'), null)).toEqual(first);
  expect(await stored()).toEqual([first.sha256]);
});

it('refuses another config under the same tensors', async () => {
  const first = await store.put(await folder('trained', '{"lora_alpha":8}'), null);
  const other = store.put(await folder('other', '{"lora_alpha":16}'), null);
  await expect(other).rejects.toThrow('another adapter_config.json');
  expect(await stored()).toEqual([first.sha256]);
});

it('notices a damaged copy and mends it when the bytes are put again', async () => {
  const trained = await folder('trained');
  const { sha256: name } = await store.put(trained, null);
  await writeFile(tensorsPath(store.pathOf(shipped(name))), 'tensorz');
  expect(await store.isIntact(shipped(name))).toBe(false);
  await store.put(trained, null);
  expect(await store.isIntact(shipped(name))).toBe(true);
});

it('leaves nothing behind when the disk is full, and says so', async () => {
  const full = await openAdapterStore(dir, vault, async (path) => {
    await writeFile(path, 'ten');
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  });
  const put = full.put(await folder('trained'), null);
  await expect(put).rejects.toThrow(/cannot store the adapter of .*: ENOSPC: no space left/);
  expect(await stored()).toEqual([]);
});

it('leaves nothing behind when a file of the folder is missing', async () => {
  const trained = await folder('trained');
  await rm(tensorsPath(trained));
  await expect(store.put(trained, null)).rejects.toThrow('cannot store the adapter');
  expect(await stored()).toEqual([]);
});

it('clears what a killed process left unfinished long ago, and nothing younger', async () => {
  const root = join(dir, 'adapters');
  const [old, young] = [join(root, '.unfinished-old'), join(root, '.unfinished-young')];
  await mkdir(old, { recursive: true });
  await mkdir(young);
  const twoHoursAgo = new Date(Date.now() - 2 * 60 * 60 * 1000);
  await utimes(old, twoHoursAgo, twoHoursAgo);
  await openAdapterStore(dir, vault);
  expect(await stored()).toEqual(['.unfinished-young']);
});

// a start failed when another process finished an adapter while it looked
it('does not mind what is finished while it looks for it', async () => {
  const root = join(dir, 'adapters');
  await mkdir(root, { recursive: true });
  await symlink(join(root, 'finished'), join(root, '.unfinished-gone'));
  await openAdapterStore(dir, vault);
});

it('has nothing under a name that was never put, and no path for what is no hash', async () => {
  expect(await store.isIntact(shipped(sha256('never')))).toBe(false);
  expect(() => store.pathOf(shipped('../../etc'))).toThrow('SHA-256');
});

it("seals a user's files, so that nobody else's key opens them", async () => {
  const trained = await folder('trained', '{"r":8}', 'what Ann wrote');
  const { sha256: name, files } = await store.put(trained, ANN);
  expect(files.map(({ sha256: hash }) => hash)).toEqual([
    sha256('{"r":8}'),
    sha256('what Ann wrote'),
  ]);
  const own = { userId: ANN, sha256: name };
  for (const file of await readdir(store.pathOf(own)))
    expect((await readFile(join(store.pathOf(own), file))).includes('Ann')).toBe(false);
  const opened = await store.folderOf(own);
  const tensors = 'adapter_model.safetensors';
  expect((await readFileIn(opened, tensors)).toString()).toBe('what Ann wrote');
  const { seal } = await store.folderOf({ userId: BOB, sha256: name });
  await expect(readFileIn({ ...opened, seal }, tensors)).rejects.toThrow('belongs elsewhere');
  expect(await store.isIntact(own)).toBe(true);
  expect(await store.isIntact({ userId: BOB, sha256: name })).toBe(false);
});

it('keeps a copy for each user of the same bytes, which go one by one', async () => {
  const trained = await folder('trained');
  const names = await Promise.all(
    [ANN, BOB, null].map(async (userId) => {
      const { sha256: name } = await store.put(trained, userId);
      return { userId, sha256: name };
    }),
  );
  await store.removeAll(ANN);
  await store.removeAll(ANN);
  expect(await Promise.all(names.map((name) => store.isIntact(name)))).toEqual([false, true, true]);
  await store.remove(names[1] ?? shipped(''));
  expect(await Promise.all(names.map((name) => store.isServable(name)))).toEqual([
    ...[false, false, true],
  ]);
});

it('notices a sealed file that was altered, moved or cut short, and mends it', async () => {
  const name = { userId: ANN, sha256: sha256('tensors') };
  const { files } = await store.put(await folder('trained'), ANN);
  const path = join(store.pathOf(name), 'adapter_config.json');
  const [config] = files;
  if (config === undefined) throw new Error('there is a config');
  expect(await store.isWhole(name, config)).toBe(true);
  const sealed = await readFile(path);
  await writeFile(path, sealed.subarray(0, -1));
  expect(await store.isWhole(name, config)).toBe(false);
  await writeFile(tensorsPath(store.pathOf(name)), sealed);
  expect(await store.isServable(name)).toBe(false);
  await store.put(join(dir, 'trained'), ANN);
  expect(await store.isServable(name)).toBe(true);
});

it('opens nothing once the owner has no keys', async () => {
  const { sha256: name } = await store.put(await folder('trained'), ANN);
  await vault.destroy(ANN);
  await expect(store.folderOf({ userId: ANN, sha256: name })).rejects.toThrow('has no keys');
});
