import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openAdapterStore } from '../../src/adapters/store.ts';
import { sha256 } from '../../src/lib/sha256.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'attune-store-'));
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
const tensorsPath = (root: string) => join(root, 'adapter_model.safetensors');

it('names a folder by the hash of its tensors and describes its files', async () => {
  const store = await openAdapterStore(dir);
  const adapter = await store.put(await folder('trained', '{"r":8}'));
  expect(adapter).toEqual({
    sha256: sha256('tensors'),
    files: [
      { name: 'adapter_config.json', sizeBytes: 7, sha256: sha256('{"r":8}') },
      { name: 'adapter_model.safetensors', sizeBytes: 7, sha256: sha256('tensors') },
    ],
  });
  expect(await readFile(tensorsPath(store.pathOf(adapter.sha256)), 'utf8')).toBe('tensors');
  expect(await store.isIntact(adapter.sha256)).toBe(true);
  expect(await stored()).toEqual([adapter.sha256]);
});

it('keeps the same bytes once, also when they are put twice at once', async () => {
  const store = await openAdapterStore(dir);
  const trained = await folder('trained');
  const [first, second] = await Promise.all([store.put(trained), store.put(trained)]);
  expect(second).toEqual(first);
  expect(await store.put(await folder('again'))).toEqual(first);
  expect(await stored()).toEqual([first.sha256]);
});

it('refuses another config under the same tensors', async () => {
  const store = await openAdapterStore(dir);
  const first = await store.put(await folder('trained', '{"lora_alpha":8}'));
  const other = store.put(await folder('other', '{"lora_alpha":16}'));
  await expect(other).rejects.toThrow('another adapter_config.json');
  expect(await stored()).toEqual([first.sha256]);
});

it('notices a damaged copy and mends it when the bytes are put again', async () => {
  const store = await openAdapterStore(dir);
  const trained = await folder('trained');
  const { sha256: name } = await store.put(trained);
  await writeFile(tensorsPath(store.pathOf(name)), 'tensorz');
  expect(await store.isIntact(name)).toBe(false);
  await store.put(trained);
  expect(await store.isIntact(name)).toBe(true);
});

it('leaves nothing behind when the disk is full, and says so', async () => {
  const store = await openAdapterStore(dir, async (_from, to) => {
    await mkdir(to);
    await writeFile(tensorsPath(to), 'ten');
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  });
  const put = store.put(await folder('trained'));
  await expect(put).rejects.toThrow(/cannot store the adapter of .*: ENOSPC: no space left/);
  expect(await stored()).toEqual([]);
});

it('leaves nothing behind when a file of the folder is missing', async () => {
  const store = await openAdapterStore(dir);
  const trained = await folder('trained');
  await rm(tensorsPath(trained));
  await expect(store.put(trained)).rejects.toThrow('cannot store the adapter');
  expect(await stored()).toEqual([]);
});

it('clears what a killed process left unfinished long ago, and nothing younger', async () => {
  const root = join(dir, 'adapters');
  const [old, young] = [join(root, '.unfinished-old'), join(root, '.unfinished-young')];
  await mkdir(old, { recursive: true });
  await mkdir(young);
  const twoHoursAgo = new Date(Date.now() - 2 * 60 * 60 * 1000);
  await utimes(old, twoHoursAgo, twoHoursAgo);
  await openAdapterStore(dir);
  expect(await stored()).toEqual(['.unfinished-young']);
});

it('has nothing under a name that was never put, and no path for what is no hash', async () => {
  const store = await openAdapterStore(dir);
  expect(await store.isIntact(sha256('never'))).toBe(false);
  expect(() => store.pathOf('../../etc')).toThrow('SHA-256');
});
