import { link, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DeviceModel } from '../../../src/inference/core/device-model.ts';
import type { Generation } from '../../../src/inference/core/generation.ts';
import { must } from '../../../src/lib/errors.ts';
import { deviceFiles } from '../../../src/model/decode/decode-package.ts';
import { DEVICE_GRAPH_NAME } from '../../../src/model/decode/device-graph-name.ts';
import { openSession } from '../../../src/runtime/session.ts';
import {
  type EngineFixture,
  engineFixture,
  engineRequest,
} from '../../support/inference/engine-fixture.ts';
import { driveLoop } from '../../support/inference/loop-driver.ts';

let fixture: EngineFixture;
let model: DeviceModel;
beforeAll(async () => {
  fixture = await engineFixture();
  const { base } = fixture;
  const files = await deviceFiles(base);
  const weights = must(
    files.find(({ name }) => name.startsWith('decode-i8')),
    'weights',
  );
  const text = (name: string) => readFile(join(base.dir, name), 'utf8');
  model = await DeviceModel.open(
    ort,
    {
      sha256: base.sha256,
      model: {
        graph: { bytes: await readFile(join(base.dir, DEVICE_GRAPH_NAME)) },
        weights: {
          name: weights.sha256,
          content: { bytes: await readFile(join(base.dir, weights.name)) },
        },
      },
      config: await text('config.json'),
      tokenizer: await text('tokenizer.json'),
      tokenizerConfig: await text('tokenizer_config.json'),
    },
    { threads: 1, random: () => 0 },
  );
});
afterAll(async () => {
  await model.close();
  await fixture.remove();
});

const CHOICES: Omit<Generation, 'promptIds'> = {
  ...{ maxTokens: 40, temperature: 0, topP: 1, seed: null, stop: [] },
};
const MESSAGES = [{ role: 'user' as const, content: 'Which boat?' }];

test('says what the engine says, with each adapter, in the same number of tokens', async () => {
  const loop = await driveLoop(fixture);
  const promptIds = model.tokenizer.encodeChat(MESSAGES, { addGenerationPrompt: true });
  for (const folder of [null, ...fixture.adapters]) {
    const read = (name: string) => readFile(join(must(folder, 'an adapter').dir, name));
    const adapter =
      folder === null
        ? null
        : model.adapterImage({
            config: (await read('adapter_config.json')).toString(),
            tensors: await read('adapter_model.safetensors'),
          });
    const here = await model.answer({ ...CHOICES, messages: MESSAGES, adapter });
    const there = await loop.ask(engineRequest({ ...CHOICES, promptIds, adapter: folder }));
    expect(there.error).toBeNull();
    expect([here.text, here.finishReason, here.completionTokens]).toEqual([
      there.text,
      there.finishReason,
      there.tokens,
    ]);
    expect(here.promptTokens).toBe(promptIds.length);
  }
  await loop.close();
});

test('keeps to the shape that a mode gives its answers', async () => {
  const output = { kind: 'literal', texts: ['true', 'false'] } as const;
  const { text } = await model.answer({ ...CHOICES, output, messages: MESSAGES, adapter: null });
  expect(['true', 'false']).toContain(text);
});

test('refuses what is no adapter of this base', () => {
  const content = { config: '{}', tensors: new Uint8Array(8) };
  expect(() => model.adapterImage(content)).toThrow('adapter_');
});

test('the graph of this name has these inputs and outputs: others need another name', async () => {
  const { dir } = fixture.base;
  const weights = must(
    (await deviceFiles(fixture.base)).find(({ name }) => name.startsWith('decode-i8')),
    'weights',
  );
  // as a device keeps them: under their hash, beside the graph
  await link(join(dir, weights.name), join(dir, weights.sha256));
  const session = await openSession(join(dir, DEVICE_GRAPH_NAME));
  const shapes = (values: typeof session.inputs) =>
    [...values]
      .filter(([name]) => !/\.[1-9]/.test(name))
      .map(([name, { dtype, shape }]) => `${name} ${dtype}[${shape}]`);
  expect([shapes(session.inputs), shapes(session.outputs)]).toMatchInlineSnapshot(`
    [
      [
        "ids i64[B,S]",
        "lora_a.0.qkv f32[B,3*R,64]",
        "lora_b.0.qkv f32[B,4,R,32]",
        "positions i64[B,S]",
        "past_key.0 f32[B,2,1,T,16]",
        "past_mask f32[B,1,1,1,T]",
        "new_mask f32[S,S]",
        "past_value.0 f32[B,2,1,T,16]",
        "lora_a.0.o f32[B,R,64]",
        "lora_b.0.o f32[B,R,64]",
        "lora_a.0.gate_up f32[B,2*R,64]",
        "lora_b.0.gate_up f32[B,2,R,96]",
        "lora_a.0.down f32[B,R,96]",
        "lora_b.0.down f32[B,R,64]",
        "asked i64[A]",
      ],
      [
        "logits f32[B,A,272]",
        "fresh f32[B,8,1,S,16]",
      ],
    ]
  `);
  await session.close();
});
