import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AdapterError } from '../../src/inference/adapter-error.ts';
import { type Engine, startEngine } from '../../src/inference/engine-client.ts';
import type { AdapterFolder } from '../../src/inference/engine-protocol.ts';
import { must } from '../../src/lib/errors.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import type { LlamaCheckpoint } from '../../src/model/checkpoint.ts';
import { LORA_MODULES, type LoraAdapter, type LoraShape } from '../../src/model/lora/lora.ts';
import { roundLora, TENSORS_FILE, WIRE_FILE } from '../../src/model/lora/lora-wire.ts';
import { readSafetensors } from '../../src/model/safetensors/safetensors.ts';
import {
  encodeSafetensors,
  type TensorData,
} from '../../src/model/safetensors/safetensors-writer.ts';
import {
  answerOf,
  type Done,
  type EngineFixture,
  engineFixture,
  engineRequest,
  promptOf,
  writeAdapter,
} from '../support/inference/engine-fixture.ts';
import {
  randomAdapter,
  randomCheckpoint,
  SMALL_CONFIG,
  temporaryBase,
} from '../support/model/random-llama.ts';

const SHAPE: LoraShape = { rank: 4, alpha: 8, modules: LORA_MODULES };
const FIRST_A = 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight';
const LAST_B = 'base_model.model.model.layers.1.mlp.down_proj.lora_B.weight';

/** What may be wrong with a file of tensors. */
interface Tensors {
  readonly map: Map<string, TensorData>;
  readonly metadata: Record<string, string>;
}

/** Changes the numbers of a tensor. */
function rewrite({ map }: Tensors, name: string, change: (values: Float32Array) => void): void {
  const tensor = must(map.get(name), name);
  const values = (tensor.data as Float32Array).slice();
  change(values);
  map.set(name, { ...tensor, data: values });
}

describe('an adapter whose file', () => {
  let fixture: EngineFixture;
  let engine: Engine;
  let count = 0;
  beforeAll(async () => {
    fixture = await engineFixture();
    engine = await startEngine({ baseDir: fixture.base.dir, threads: 1 });
  });
  afterAll(async () => {
    await engine.close();
    await fixture.remove();
  });

  /** A sound adapter, its tensors changed, under the name of the bytes that come of it. */
  async function damaged(change: (tensors: Tensors) => void): Promise<AdapterFolder> {
    count += 1;
    const sound = randomAdapter(SMALL_CONFIG, SHAPE, 100 + count);
    const { dir } = await writeAdapter(fixture.base, sound, `damaged-${count}`);
    const path = join(dir, 'adapter_model.safetensors');
    const file = readSafetensors(path);
    const map = new Map<string, TensorData>();
    for (const [name, { shape }] of file.tensors)
      map.set(name, { dtype: 'F32', shape, data: file.read(name) });
    const tensors = { map, metadata: { ...file.metadata } };
    change(tensors);
    const bytes = encodeSafetensors(tensors.map, tensors.metadata);
    await writeFile(path, bytes);
    return { dir, sha256: sha256(bytes) };
  }

  const damages: readonly [string, (tensors: Tensors) => void, string][] = [
    ['lacks a tensor', ({ map }) => map.delete(FIRST_A), `lacks the tensor ${FIRST_A}`],
    [
      'has a tensor of another shape',
      ({ map }) => map.set(FIRST_A, { ...must(map.get(FIRST_A), FIRST_A), shape: [64, 4] }),
      'its shape is [64,4], expected [4,64]',
    ],
    [
      'has a tensor too many',
      ({ map }) =>
        map.set('lm_head.weight', { dtype: 'F32', shape: [1], data: Float32Array.of(1) }),
      'lm_head.weight',
    ],
    ['is full of NaN', (t) => rewrite(t, LAST_B, (v) => v.fill(Number.NaN)), 'element 0 is NaN'],
    [
      'has a single infinite number',
      (t) => rewrite(t, LAST_B, (values) => values.set([Number.NEGATIVE_INFINITY], 77)),
      'element 77 is -Infinity',
    ],
    [
      'was trained on another base',
      ({ metadata }) => Object.assign(metadata, { base_sha256: 'c'.repeat(64) }),
      'c'.repeat(64),
    ],
    [
      'changes nothing',
      (t) => {
        for (const name of t.map.keys())
          if (name.includes('lora_B')) rewrite(t, name, (values) => values.fill(0));
      },
      'it changes nothing',
    ],
    [
      'changes too little to count',
      (t) => {
        for (const name of t.map.keys())
          if (name.includes('lora_B')) rewrite(t, name, (values) => values.fill(1e-30));
      },
      'it changes nothing',
    ],
    [
      'has numbers that break the model',
      (t) => rewrite(t, LAST_B, (values) => values.fill(1e38)),
      'it breaks the model: the logit of token 0 is',
    ],
  ];
  test.each(damages)('%s is refused by name and reason, and only it', async (_, change, reason) => {
    const sound = engineRequest({ adapter: fixture.adapters[0] ?? null, maxTokens: 30 });
    const expected = await answerOf(engine, sound);
    const folder = await damaged(change);
    const bad = engineRequest({ adapter: folder, userId: 'b' });
    const [refused, other] = await Promise.allSettled([
      answerOf(engine, bad),
      answerOf(engine, sound),
    ]);
    expect(other).toMatchObject({ status: 'fulfilled', value: expected });
    const error = refused.status === 'rejected' ? refused.reason : null;
    expect(error).toBeInstanceOf(AdapterError);
    expect(error).toMatchObject({ sha256: folder.sha256 });
    expect(error.message).toContain(folder.sha256);
    expect(error.message).toContain(reason);
    // asked again it is refused again: nothing of it is kept
    await expect(answerOf(engine, bad)).rejects.toThrow(reason);
  });

  test('has a rank above the limit is refused with both numbers', async () => {
    const { dir, sha256: name } = await damaged(() => undefined);
    const path = join(dir, 'adapter_config.json');
    const config = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify({ ...config, r: 17 }));
    const error = await answerOf(engine, engineRequest({ adapter: { dir, sha256: name } })).catch(
      (reason) => reason,
    );
    expect(error).toBeInstanceOf(AdapterError);
    expect(error.message).toContain('r is 17, expected a whole number from 1 to 16');
  });

  test('also lies in the form that travels to devices is read from either, with the same answer', async () => {
    const adapter = await writeAdapter(
      fixture.base,
      roundLora(randomAdapter(SMALL_CONFIG, SHAPE, 6)),
      'coded',
    );
    const { wireSha256: _, ...canonicalOnly } = adapter;
    const expected = await answerOf(engine, engineRequest({ adapter: canonicalOnly }));
    const canonical = join(adapter.dir, TENSORS_FILE);
    const coded = join(adapter.dir, WIRE_FILE);
    // a new engine each time: the first one has it in memory
    const answerAnew = async () => {
      const other = await startEngine({ baseDir: fixture.base.dir, threads: 1 });
      const { text } = await answerOf(other, engineRequest({ adapter })).finally(() =>
        other.close(),
      );
      return text;
    };
    await rename(canonical, `${canonical}.away`);
    expect(await answerAnew()).toBe(expected.text);
    await rename(`${canonical}.away`, canonical);
    const bytes = await readFile(coded);
    await writeFile(coded, bytes.with(bytes.length - 1, bytes.at(-1) === 1 ? 2 : 1));
    expect(await answerAnew()).toBe(expected.text);
    await rename(canonical, `${canonical}.away`);
    await expect(answerAnew()).rejects.toThrow('cannot be read');
  });

  test('adapts q alone is no silent one: attention chooses otherwise with it', async () => {
    const shape: LoraShape = { ...SHAPE, modules: ['q_proj'] };
    const adapter = await writeAdapter(
      fixture.base,
      randomAdapter(SMALL_CONFIG, shape, 5),
      'q-alone',
    );
    expect(await answerOf(engine, engineRequest({ adapter }))).toMatchObject({ kind: 'done' });
  });
});

// The trap: of all tokens one alone has a number in a certain place of its embedding, and the adapter's A looks at that
// place alone, with a B that overflows. So its row is sound until it writes that token.
const UNTIED = { ...SMALL_CONFIG, tiedEmbeddings: false };
const PLACE = UNTIED.hiddenSize - 1;

function baseWithMark(marked: number | null): LlamaCheckpoint {
  const plain = randomCheckpoint(UNTIED);
  const embedding = plain.tensor('model.embed_tokens.weight').slice();
  for (let id = 0; id < UNTIED.vocabSize; id += 1)
    embedding[id * UNTIED.hiddenSize + PLACE] = id === marked ? 1 : 0;
  const tensor = (name: string) =>
    name === 'model.embed_tokens.weight' ? embedding : plain.tensor(name);
  return { ...plain, tensor };
}

function trap(): LoraAdapter {
  const adapter = randomAdapter(UNTIED, SHAPE, 9);
  const tensors = adapter.tensors.map((tensor) => {
    if (tensor.layer !== 0 || tensor.module !== 'v_proj') return tensor;
    // row 0 of A looks at the place, and column 0 of B makes much of it
    const a = tensor.a.map((value, i) => (i < UNTIED.hiddenSize ? Number(i === PLACE) : value));
    const b = tensor.b.map((value, i) => (i % SHAPE.rank === 0 ? 1e38 : value));
    return { ...tensor, a, b };
  });
  return { ...adapter, tensors };
}

async function withEngineOn<T>(
  marked: number | null,
  work: (engine: Engine, adapter: AdapterFolder) => Promise<T>,
): Promise<T> {
  const { base, remove } = await temporaryBase(baseWithMark(marked));
  const engine = await startEngine({ baseDir: base.dir, threads: 1 });
  try {
    return await work(engine, await writeAdapter(base, trap(), 'trap'));
  } finally {
    await engine.close();
    await remove();
  }
}

test('a row whose numbers break in the middle of a batch fails alone', async () => {
  const request = engineRequest({ maxTokens: 60, promptIds: promptOf(9, 4) });
  // without a marked token the trap is an adapter like any other; its answer tells which token to mark
  const text = await withEngineOn(null, async (engine, adapter) => {
    return (await answerOf(engine, { ...request, adapter })).text;
  });
  const prompt = String.fromCharCode(...request.promptIds.map((id) => id - 2));
  const early = text.slice(0, 5);
  const mark = [...text.slice(5, 40)].find(
    (one) => one < '\u007f' && !early.includes(one) && !prompt.includes(one),
  );
  const marked = must(mark, 'a character that comes late').charCodeAt(0) + 2;

  await withEngineOn(marked, async (engine, adapter) => {
    const others = [1, 2, 3].map((i) =>
      engineRequest({ ...request, promptIds: promptOf(30 * i, i), userId: `other ${i}` }),
    );
    const alone: Done[] = [];
    for (const other of others) alone.push(await answerOf(engine, other));
    const pieces: string[] = [];
    const broken = (async () => {
      const events = engine.generate({ ...request, adapter }, new AbortController().signal);
      for await (const event of events) if (event.kind === 'text') pieces.push(event.text);
    })();
    const together = Promise.all(others.map((other) => answerOf(engine, other)));
    await expect(broken).rejects.toThrow('is a number');
    expect(pieces.join('').length).toBeGreaterThan(2);
    expect(await together).toEqual(alone);
    // its place in the batch is used by others afterwards
    expect(await Promise.all(others.map((other) => answerOf(engine, other)))).toEqual(alone);
  });
});
