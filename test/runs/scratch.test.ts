import { mkdir, readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { newScratch, removeScratch } from '../../src/runs/scratch.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';

const folder = useTemporaryFolder();

test('the scratch folders of a killed server are removed, its checkpoints stay', async () => {
  const workDir = folder('work');
  const first = await newScratch(workDir);
  const second = await newScratch(workDir);
  expect(first).not.toBe(second);
  await mkdir(folder('work/checkpoint-1'));
  await removeScratch(workDir);
  expect(await readdir(workDir)).toEqual(['checkpoint-1']);
});

test('a work folder that is not there yet has nothing to remove', async () => {
  await removeScratch(folder('work'));
  expect(await readdir(folder('work'))).toEqual([]);
});
