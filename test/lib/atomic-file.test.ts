import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeFileAtomically, writeFileAtomically } from '../../src/lib/atomic-file.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-atomic-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a written file replaces the one before it and leaves nothing else', async () => {
  const path = join(folder, 'a.txt');
  await writeFileAtomically(path, 'one');
  await writeFileAtomically(path, new TextEncoder().encode('two'));
  expect(await readFile(path, 'utf8')).toBe('two');
  expect(await readdir(folder)).toEqual(['a.txt']);
});

test('when making fails, the old file stays and the half file goes', async () => {
  const path = join(folder, 'a.txt');
  await writeFileAtomically(path, 'one');
  const full = makeFileAtomically(path, async (temporaryPath) => {
    await writeFile(temporaryPath, 'tw');
    throw new Error('disk full');
  });
  await expect(full).rejects.toThrow('disk full');
  expect(await readFile(path, 'utf8')).toBe('one');
  expect(await readdir(folder)).toEqual(['a.txt']);
});
