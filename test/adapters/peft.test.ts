import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readPeftFolder, writePeftFolder } from '../../src/adapters/peft.ts';
import type { AdapterBase } from '../../src/adapters/peft-content.ts';
import type { Json } from '../../src/lib/canonical-json.ts';
import { AppError } from '../../src/lib/errors.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { LORA_MODULES, type LoraAdapter, type LoraShape } from '../../src/model/lora/lora.ts';
import { readSafetensors } from '../../src/model/safetensors/safetensors.ts';
import {
  encodeSafetensors,
  type TensorData,
} from '../../src/model/safetensors/safetensors-writer.ts';
import { randomAdapter, SMALL_CONFIG } from '../support/model/random-llama.ts';

const BASE = { sha256: 'b'.repeat(64), config: SMALL_CONFIG, name: 'org/small' };
const SHAPE: LoraShape = { rank: 4, alpha: 8, modules: LORA_MODULES };
const ADAPTER = randomAdapter(SMALL_CONFIG, SHAPE, 3);
const FIRST_A = 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight';
const FIRST_B = 'base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'attune-peft-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe('a PEFT folder', () => {
  it('holds what was written, whatever the shape', async () => {
    const shapes = fc.record({
      rank: fc.integer({ min: 1, max: 16 }),
      alpha: fc.integer({ min: 1, max: 64 }),
      modules: fc
        .subarray([...LORA_MODULES], { minLength: 1 })
        .map((chosen) => LORA_MODULES.filter((module) => chosen.includes(module))),
      layers: fc.constantFrom([0], [1], [0, 1]),
    });
    let count = 0;
    await fc.assert(
      fc.asyncProperty(shapes, fc.boolean(), async (shape, allLayers) => {
        const { layers, ...whole } = shape;
        const adapter = randomAdapter(SMALL_CONFIG, allLayers ? whole : { ...whole, layers }, 1);
        count += 1;
        const dir = join(root, `${count}`);
        await writePeftFolder(dir, adapter, BASE);
        expect(await readPeftFolder(dir, BASE)).toEqual(adapter);
      }),
      { numRuns: 20 },
    );
  });

  it('has the names, shapes and settings of PEFT', async () => {
    const dir = join(root, 'adapter');
    await writePeftFolder(dir, ADAPTER, BASE);
    expect((await readdir(dir)).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
    ]);
    const config = JSON.parse(await readFile(join(dir, 'adapter_config.json'), 'utf8'));
    expect(config).toMatchObject({
      peft_type: 'LORA',
      task_type: 'CAUSAL_LM',
      base_model_name_or_path: 'org/small',
      r: 4,
      lora_alpha: 8,
      target_modules: LORA_MODULES,
      bias: 'none',
    });
    const { tensors } = readSafetensors(join(dir, 'adapter_model.safetensors'));
    expect(tensors.size).toBe(2 * 7 * 2);
    expect(tensors.get(FIRST_A)).toMatchObject({ dtype: 'F32', shape: [4, 64] });
    expect(tensors.get(FIRST_B)).toMatchObject({ dtype: 'F32', shape: [64, 4] });
    expect(
      tensors.get('base_model.model.model.layers.1.mlp.down_proj.lora_A.weight')?.shape,
    ).toEqual([4, 96]);
  });

  it('has the same bytes each time, and is described by its hashes', async () => {
    const first = await writePeftFolder(join(root, 'one'), ADAPTER, BASE);
    const second = await writePeftFolder(join(root, 'two'), ADAPTER, BASE);
    expect(second).toEqual(first);
    for (const file of first) {
      const bytes = await readFile(join(root, 'two', file.name));
      expect(file).toEqual({ name: file.name, sizeBytes: bytes.length, sha256: sha256(bytes) });
    }
  });

  it('is there whole or not at all', async () => {
    const dir = join(root, 'taken');
    await mkdir(dir);
    await writeFile(join(dir, 'keep'), '');
    await expect(writePeftFolder(dir, ADAPTER, BASE)).rejects.toThrow(
      `could not write the adapter folder ${dir}`,
    );
    expect(await readdir(root)).toEqual(['taken']);
    expect(await readdir(dir)).toEqual(['keep']);
  });

  it('is read in half precision too, as other tools write it', async () => {
    const halves = new Uint16Array(4 * 64).fill(0x3c00); // 1 in F16
    const dir = await folderWith((tensors) =>
      tensors.set(FIRST_A, { dtype: 'F16', shape: [4, 64], data: new Uint8Array(halves.buffer) }),
    );
    expect((await readPeftFolder(dir, BASE)).tensors[0]?.a).toEqual(new Float32Array(256).fill(1));
  });
});

type Tensors = Map<string, TensorData>;

/** A sound folder, changed. */
async function folderWith(
  change: (tensors: Tensors, metadata: Record<string, string>) => void,
  changeConfig: (config: Record<string, Json>) => void = () => undefined,
): Promise<string> {
  const dir = await soundFolder();
  const tensorsPath = join(dir, 'adapter_model.safetensors');
  const file = readSafetensors(tensorsPath);
  const tensors: Tensors = new Map();
  for (const [name, { shape }] of file.tensors)
    tensors.set(name, { dtype: 'F32', shape, data: file.read(name) });
  const metadata = { ...file.metadata };
  change(tensors, metadata);
  await writeFile(tensorsPath, encodeSafetensors(tensors, metadata));
  const configPath = join(dir, 'adapter_config.json');
  const config = JSON.parse(await readFile(configPath, 'utf8'));
  changeConfig(config);
  await writeFile(configPath, JSON.stringify(config));
  return dir;
}

async function soundFolder(): Promise<string> {
  const dir = join(root, 'adapter');
  await writePeftFolder(dir, ADAPTER, BASE);
  return dir;
}

async function expectRefused(
  dir: string,
  message: string,
  base: AdapterBase = BASE,
): Promise<void> {
  const error = await readPeftFolder(dir, base).then(
    (adapter: LoraAdapter) => expect.fail(`was read: ${adapter.shape.rank}`),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(AppError);
  expect(error).toMatchObject({ code: 'BAD_INPUT', message: expect.stringContaining(message) });
}

describe('a bad folder is refused', () => {
  const f32 = (shape: number[], value = 0): TensorData => ({
    dtype: 'F32',
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value),
  });

  it.each<[string, (tensors: Tensors) => void, string]>([
    ['a missing tensor', (tensors) => tensors.delete(FIRST_A), `lacks the tensor ${FIRST_A}`],
    [
      'a superfluous tensor',
      (tensors) => tensors.set('lm_head.lora_A.weight', f32([4, 64])),
      'has a tensor that its config does not: lm_head.lora_A.weight',
    ],
    [
      'a misshapen tensor',
      (tensors) => tensors.set(FIRST_A, f32([64, 4])),
      `${FIRST_A}: its shape is [64,4], expected [4,64]`,
    ],
    [
      'a NaN',
      (tensors) => tensors.set(FIRST_A, f32([4, 64], Number.NaN)),
      `${FIRST_A}: element 0 is NaN`,
    ],
    [
      'an infinity',
      (tensors) => tensors.set(FIRST_B, f32([64, 4], Number.NEGATIVE_INFINITY)),
      `${FIRST_B}: element 0 is -Infinity`,
    ],
    [
      'integers',
      (tensors) => tensors.set(FIRST_A, { dtype: 'I8', shape: [4, 64], data: new Uint8Array(256) }),
      'I8 is not readable',
    ],
  ])('for %s', async (_, change, message) => {
    await expectRefused(await folderWith(change), message);
  });

  it.each<[string, string, Json, string]>([
    ['another kind of adapter', 'peft_type', 'IA3', 'peft_type is "IA3", expected "LORA"'],
    ['a rank above the limit', 'r', 17, 'r is 17, expected a whole number from 1 to 16'],
    ['a rank of nothing', 'r', 0, 'r is 0'],
    ['a rank that is not whole', 'r', 2.5, 'r is 2.5'],
    ['no scale', 'lora_alpha', null, 'lora_alpha is null, expected a number above 0'],
    ['DoRA', 'use_dora', true, 'use_dora is true, expected false or nothing'],
    ['rank-stabilised scaling', 'use_rslora', true, 'use_rslora is true'],
    ['trained biases', 'bias', 'all', 'bias is "all", expected "none" or nothing'],
    ['ranks that differ', 'rank_pattern', { q_proj: 2 }, 'rank_pattern is {"q_proj":2}'],
    ['whole modules', 'modules_to_save', ['lm_head'], 'modules_to_save is ["lm_head"]'],
    ['unknown modules', 'target_modules', ['q_proj', 'lm_head'], 'target_modules is'],
    ['a pattern of modules', 'target_modules', '.*proj', 'target_modules is ".*proj"'],
    ['no modules', 'target_modules', [], 'target_modules is []'],
    ['a layer that is not there', 'layers_to_transform', [0, 2], 'layers_to_transform is [0,2]'],
    ['a layer named twice', 'layers_to_transform', [0, 0], 'layers_to_transform is [0,0]'],
  ])('for %s', async (_, field, value, message) => {
    const dir = await folderWith(
      () => undefined,
      (config) => {
        config[field] = value;
      },
    );
    await expectRefused(dir, message);
  });

  it('for another base, by hash and not only by shape', async () => {
    const other = { ...BASE, sha256: 'c'.repeat(64) };
    await expectRefused(await soundFolder(), `was trained on base ${BASE.sha256}`, other);
  });

  it('but not for a file that names no base, as other tools write it', async () => {
    const dir = await folderWith((_, metadata) => {
      delete metadata.base_sha256;
    });
    expect(await readPeftFolder(dir, BASE)).toEqual(ADAPTER);
  });

  it('for a missing file', async () => {
    await expectRefused(join(root, 'nowhere'), 'cannot be read');
    const dir = await soundFolder();
    await rm(join(dir, 'adapter_model.safetensors'));
    await expectRefused(dir, 'cannot be read');
  });

  it('for a config that is not JSON, or no object', async () => {
    const dir = await soundFolder();
    for (const text of ['{', '[]', 'null', '']) {
      await writeFile(join(dir, 'adapter_config.json'), text);
      await expectRefused(dir, 'adapter_config.json is not');
    }
  });

  it('for a file cut at any length', async () => {
    const dir = await soundFolder();
    const path = join(dir, 'adapter_model.safetensors');
    const bytes = await readFile(path);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), async (length) => {
        await writeFile(path, bytes.subarray(0, length));
        await expectRefused(dir, 'adapter_model.safetensors');
      }),
      { numRuns: 30 },
    );
  });
});
