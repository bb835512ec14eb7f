import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { AppError } from '../../../src/lib/errors.ts';
import {
  DamagedBaseError,
  loadTokenizer,
  openBase,
  verifyBase,
} from '../../../src/model/base/base-package.ts';
import { writeBase } from '../../../src/model/base/base-write.ts';
import { llamaTensors } from '../../../src/model/llama-config.ts';
import { readSafetensors } from '../../../src/model/safetensors/safetensors.ts';
import { SAMPLE_CONFIG, sampleCheckpoint } from '../../support/model/sample-checkpoint.ts';
import { useTemporaryFolder } from '../../support/temporary-folder.ts';

const inFolder = useTemporaryFolder();

beforeEach(() => mkdirSync(inFolder('base')));

function write(checkpoint = sampleCheckpoint()): Promise<string> {
  return writeBase(checkpoint, inFolder('base'), () => undefined);
}

test('a package opens with the config, the numbers and the tokenizer of its checkpoint', async () => {
  const original = sampleCheckpoint({ ...SAMPLE_CONFIG, tiedEmbeddings: false });
  const hash = await write(original);
  const base = await openBase(inFolder('base'));
  expect(base).toMatchObject({ sha256: hash, name: 'sample', config: original.config });
  expect(base.files.map(({ name }) => name).sort()).toEqual([
    'config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  await verifyBase(base);
  const weights = readSafetensors(join(base.dir, 'model.safetensors'));
  for (const [name, shape] of llamaTensors(original.config)) {
    expect(weights.read(name)).toEqual(original.tensor(name));
    expect(weights.tensors.get(name)).toMatchObject({ dtype: 'F32', shape });
  }
  const tokenizer = await loadTokenizer(base);
  expect(tokenizer.decode(tokenizer.encode('hello'))).toBe('hello');
  expect(tokenizer.eosTokenIds).toEqual([2]);
});

test('the numbers start at a page boundary, so that they can be mapped', async () => {
  await write();
  const { tensors } = readSafetensors(inFolder('base/model.safetensors'));
  const first = Math.min(...[...tensors.values()].map(({ offsetBytes }) => offsetBytes));
  expect(first % 4096).toBe(0);
});

test('the hash depends on the content and on nothing else', async () => {
  const hashes = new Map<string, string>();
  const variants = {
    same: sampleCheckpoint(),
    'other name': { ...sampleCheckpoint(), name: 'renamed' },
    'other numbers': sampleCheckpoint(SAMPLE_CONFIG, 2),
    'other config': sampleCheckpoint({ ...SAMPLE_CONFIG, ropeTheta: 9 }),
    'other tokenizer': { ...sampleCheckpoint(), tokenizerConfig: {} },
  };
  for (const [name, checkpoint] of Object.entries(variants)) {
    mkdirSync(inFolder(name));
    hashes.set(name, await writeBase(checkpoint, inFolder(name), () => undefined));
  }
  expect(await write()).toBe(hashes.get('same'));
  expect(hashes.get('other name')).toBe(hashes.get('same'));
  expect(new Set(hashes.values()).size).toBe(4);
});

test('writing reports how many bytes it has written, up to all of them', async () => {
  const progress: [number, number][] = [];
  await writeBase(sampleCheckpoint(), inFolder('base'), (done, total) =>
    progress.push([done, total]),
  );
  expect(progress.at(-1)?.[0]).toBe(progress.at(-1)?.[1]);
  expect(progress).toHaveLength(llamaTensors(SAMPLE_CONFIG).size);
});

describe('a checkpoint that is not sound is not written', () => {
  const cases: [fault: string, numbers: Float32Array, message: RegExp][] = [
    ['too few numbers', new Float32Array(31), /model\.norm\.weight: 31 numbers, expected \[32\]/],
    ['NaN', new Float32Array(32).fill(Number.NaN, 5), /model\.norm\.weight: number 5 is NaN/],
    ['infinity', new Float32Array(32).fill(Number.POSITIVE_INFINITY), /number 0 is Infinity/],
  ];

  test.each(cases)('%s', async (_, numbers, message) => {
    const original = sampleCheckpoint();
    const tensor = (name: string) =>
      name === 'model.norm.weight' ? numbers : original.tensor(name);
    const attempt = write({ ...original, tensor });
    await expect(attempt).rejects.toThrow(AppError);
    await expect(attempt).rejects.toThrow(message);
  });
});

describe('a damaged package is refused with its file and the remedy', () => {
  const path = (name: string) => inFolder(join('base', name));
  const onOpening: [fault: string, damage: () => void, message: RegExp][] = [
    [
      'a cut file',
      () => truncateSync(path('model.safetensors'), 1000),
      /model\.safetensors has 1000 bytes, expected \d+/,
    ],
    ['a missing file', () => rmSync(path('tokenizer.json')), /tokenizer\.json has no bytes/],
    ['no manifest', () => rmSync(path('base.json')), /base\.json cannot be read/],
    ['a cut manifest', () => truncateSync(path('base.json'), 50), /base\.json cannot be read/],
    [
      'another manifest',
      () => writeFileSync(path('base.json'), '{"files":[],"name":"x","sha256":"y"}'),
      /base\.json is not a manifest/,
    ],
    ['no folder', () => rmSync(inFolder('base'), { recursive: true }), /base\.json cannot be read/],
  ];

  test.each(onOpening)('%s, when it is opened', async (_, damage, message) => {
    await write();
    damage();
    const attempt = openBase(inFolder('base'));
    await expect(attempt).rejects.toThrow(DamagedBaseError);
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toThrow(/remove this folder and start again/);
  });

  test('a manifest whose hashes were changed, when it is opened', async () => {
    await write();
    const manifest = readFileSync(path('base.json'), 'utf8');
    writeFileSync(path('base.json'), manifest.replace(/"sha256":"[0-9a-f]{4}/, '"sha256":"0000'));
    await expect(openBase(inFolder('base'))).rejects.toThrow(/base\.json is not a manifest/);
  });

  test.each(['model.safetensors', 'tokenizer.json'])(
    'a flipped bit in %s, when it is verified',
    async (name) => {
      await write();
      const bytes = readFileSync(path(name));
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 4;
      writeFileSync(path(name), bytes);
      const base = await openBase(inFolder('base'));
      const attempt = verifyBase(base);
      await expect(attempt).rejects.toThrow(DamagedBaseError);
      await expect(attempt).rejects.toThrow(`${name} has SHA-256`);
    },
  );
});
