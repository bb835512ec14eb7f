import { readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../../src/lib/errors.ts';
import { openHfCheckpoint } from '../../../src/model/hf/hf-checkpoint.ts';
import { llamaTensors } from '../../../src/model/llama-config.ts';
import { encodeSafetensors } from '../../../src/model/safetensors/safetensors-writer.ts';
import {
  SAMPLE_CONFIG,
  sampleCheckpoint,
  writeHfFolder,
} from '../../support/model/sample-checkpoint.ts';
import { useTemporaryFolder } from '../../support/temporary-folder.ts';

const inFolder = useTemporaryFolder();

function edit(name: string, change: (json: Record<string, unknown>) => unknown): void {
  const path = inFolder(join('m', name));
  writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8')))));
}

describe.each(['F32', 'F16', 'BF16'] as const)('weights in %s', (dtype) => {
  test.each([1, 3])('in %i files are read as float32', async (shardCount) => {
    const original = sampleCheckpoint();
    writeHfFolder(inFolder('m'), original, { dtype, shardCount });
    const checkpoint = await openHfCheckpoint(inFolder('m'));
    expect(checkpoint.name).toBe('m');
    expect(checkpoint.config).toEqual(SAMPLE_CONFIG);
    for (const name of llamaTensors(SAMPLE_CONFIG).keys())
      expect(checkpoint.tensor(name), name).toEqual(original.tensor(name));
  });
});

describe('the chat template', () => {
  test('may be a file of its own, which counts', async () => {
    writeHfFolder(inFolder('m'), sampleCheckpoint());
    writeFileSync(inFolder('m/chat_template.jinja'), 'own file');
    expect((await openHfCheckpoint(inFolder('m'))).tokenizerConfig.chat_template).toBe('own file');
  });

  test('may be one of several, called default', async () => {
    writeHfFolder(inFolder('m'), sampleCheckpoint());
    const templates = [
      { name: 'tool_use', template: 'no' },
      { name: 'default', template: 'yes' },
    ];
    edit('tokenizer_config.json', (config) => ({ ...config, chat_template: templates }));
    expect((await openHfCheckpoint(inFolder('m'))).tokenizerConfig.chat_template).toBe('yes');
  });

  test('special tokens may be objects', async () => {
    writeHfFolder(inFolder('m'), sampleCheckpoint());
    edit('tokenizer_config.json', (config) => ({
      ...config,
      eos_token: { content: '<|im_end|>' },
    }));
    expect((await openHfCheckpoint(inFolder('m'))).tokenizerConfig.eos_token).toBe('<|im_end|>');
  });
});

describe('a folder that is not a whole Llama checkpoint is refused with the file and its fault', () => {
  const replaceTensor = (name: string, shape: readonly number[] | null) => {
    const original = sampleCheckpoint();
    const tensors = new Map(
      [...llamaTensors(SAMPLE_CONFIG)].map(([tensor, size]) => [
        tensor,
        { dtype: 'F32' as const, shape: size, data: original.tensor(tensor) },
      ]),
    );
    tensors.delete(name);
    const length = shape?.reduce((product, size) => product * size, 1) ?? 0;
    if (shape !== null) tensors.set(name, { dtype: 'F32', shape, data: new Float32Array(length) });
    writeFileSync(inFolder('m/model.safetensors'), encodeSafetensors(tensors, {}));
  };
  const weights = () => inFolder('m/model.safetensors');

  const cases: [fault: string, damage: () => void, message: RegExp][] = [
    ['no config', () => rmSync(inFolder('m/config.json')), /config\.json is missing/],
    ['no tokenizer', () => rmSync(inFolder('m/tokenizer.json')), /tokenizer\.json is missing/],
    ['no weights', () => rmSync(weights()), /neither model\.safetensors nor/],
    [
      'pickled weights',
      () => renameSync(weights(), inFolder('m/pytorch_model.bin')),
      /only safetensors/,
    ],
    [
      'cut config',
      () => truncateSync(inFolder('m/config.json'), 20),
      /config\.json is not JSON: cut off/,
    ],
    [
      'config that is a list',
      () => edit('config.json', () => []),
      /config\.json: expected a JSON object/,
    ],
    ['cut weights', () => truncateSync(weights(), 5000), /model\.safetensors is cut off/],
    [
      'a missing tensor',
      () => replaceTensor('model.norm.weight', null),
      /has no tensor model\.norm\.weight/,
    ],
    [
      'a misshapen tensor',
      () => replaceTensor('model.norm.weight', [33]),
      /model\.norm\.weight is \[33\], expected \[32\]/,
    ],
    [
      'an extra tensor',
      () => replaceTensor('model.norm.bias', [32]),
      /has a tensor model\.norm\.bias/,
    ],
    [
      'a tokenizer that is not BPE',
      () =>
        edit('tokenizer.json', (t) => ({
          ...t,
          model: { type: 'Unigram', vocab: {}, merges: [] },
        })),
      /model type is "Unigram"/,
    ],
    [
      'a damaged vocabulary',
      () =>
        edit('tokenizer.json', (t) => ({
          ...t,
          model: { type: 'BPE', vocab: { a: -1 }, merges: [] },
        })),
      /vocab holds something else/,
    ],
    [
      'damaged merges',
      () =>
        edit('tokenizer.json', (t) => ({ ...t, model: { type: 'BPE', vocab: {}, merges: ['a'] } })),
      /merges are not a list of pairs/,
    ],
    [
      'damaged special tokens',
      () => edit('tokenizer.json', (t) => ({ ...t, added_tokens: [{ id: 1 }] })),
      /added_tokens are not/,
    ],
    [
      'no default template',
      () => edit('tokenizer_config.json', (c) => ({ ...c, chat_template: [] })),
      /no template named default/,
    ],
  ];

  test.each(cases)('%s', async (_, damage, message) => {
    writeHfFolder(inFolder('m'), sampleCheckpoint());
    damage();
    const attempt = openHfCheckpoint(inFolder('m'));
    await expect(attempt).rejects.toThrow(AppError);
    await expect(attempt).rejects.toThrow(message);
  });

  const shardCases: [fault: string, damage: () => void, message: RegExp][] = [
    [
      'a missing shard',
      () => rmSync(inFolder('m/model-00002-of-00002.safetensors')),
      /00002-of-00002\.safetensors is missing/,
    ],
    [
      'an index that leads out of the folder',
      () => edit('model.safetensors.index.json', () => ({ weight_map: { a: '../x.safetensors' } })),
      /does not name files of this folder/,
    ],
    [
      'an index without files',
      () => edit('model.safetensors.index.json', () => ({})),
      /does not name files/,
    ],
    [
      'a tensor in two shards',
      () => {
        const shard = readFileSync(inFolder('m/model-00001-of-00002.safetensors'));
        writeFileSync(inFolder('m/model-00002-of-00002.safetensors'), shard);
      },
      /another file has it too/,
    ],
  ];

  test.each(shardCases)('%s', async (_, damage, message) => {
    writeHfFolder(inFolder('m'), sampleCheckpoint(), { shardCount: 2 });
    damage();
    await expect(openHfCheckpoint(inFolder('m'))).rejects.toThrow(message);
  });
});
