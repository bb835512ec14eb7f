import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sha256File } from '../../../src/lib/sha256.ts';
import { decodeFiles, deviceFiles } from '../../../src/model/decode/decode-package.ts';
import { randomCheckpoint, SMALL_CONFIG, temporaryBase } from '../../support/model/random-llama.ts';

test('what a device decodes with is made once, and listed as they are', async () => {
  const { base, remove } = await temporaryBase(randomCheckpoint(SMALL_CONFIG));
  const files = await decodeFiles(base);
  expect(files.map(({ name }) => name.replace(/\.v\d+/, ''))).toEqual([
    'device-decode.onnx',
    'decode-i8.safetensors',
  ]);
  const made = await Promise.all(files.map(({ name }) => stat(join(base.dir, name))));
  for (const [i, { name, sizeBytes, sha256 }] of files.entries()) {
    expect(made[i]?.size).toBe(sizeBytes);
    expect(await sha256File(join(base.dir, name))).toBe(sha256);
  }
  expect(await decodeFiles(base)).toEqual(files);
  const again = await Promise.all(files.map(({ name }) => stat(join(base.dir, name))));
  expect(again.map(({ mtimeMs }) => mtimeMs)).toEqual(made.map(({ mtimeMs }) => mtimeMs));
  await remove();
});

test('a device is offered all that it needs, and no floats', async () => {
  const { base, remove } = await temporaryBase(randomCheckpoint(SMALL_CONFIG));
  const names = (await deviceFiles(base)).map(({ name }) => name.replace(/\.v\d+/, ''));
  expect(names.sort()).toEqual([
    'config.json',
    'decode-i8.safetensors',
    'device-decode.onnx',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  await remove();
});

test('equal bases give equal files, whoever makes them', async () => {
  const bases = await Promise.all([1, 2].map(() => temporaryBase(randomCheckpoint(SMALL_CONFIG))));
  const [first, second] = await Promise.all(bases.map(({ base }) => decodeFiles(base)));
  expect(first).toEqual(second);
  for (const { remove } of bases) await remove();
});
