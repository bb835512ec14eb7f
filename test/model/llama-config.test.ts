import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Json } from '../../src/lib/canonical-json.ts';
import { parseHfConfig, toHfConfig } from '../../src/model/hf/hf-config.ts';
import {
  checkLlamaConfig,
  type LlamaConfig,
  llamaTensors,
  ropeFrequencies,
} from '../../src/model/llama-config.ts';
import { SAMPLE_CONFIG } from '../support/model/sample-checkpoint.ts';

interface Recorded {
  readonly config: Json;
  readonly frequencies: readonly number[];
}

/** Written by test/oracle/rope.py with transformers. */
const RECORDED: Record<string, Recorded> = JSON.parse(
  readFileSync(new URL('../oracle/recorded/rope.json', import.meta.url), 'utf8'),
);

test.each(Object.entries(RECORDED))(
  'rotary frequencies with scaling %s are those of transformers',
  (_, recorded) => {
    const config = parseHfConfig(recorded.config, null, 'config.json');
    const frequencies = [...ropeFrequencies(config)];
    expect(frequencies).toHaveLength(recorded.frequencies.length);
    frequencies.forEach((frequency, i) => {
      const expected = recorded.frequencies[i] as number;
      expect(Math.abs(frequency / expected - 1)).toBeLessThan(1e-6);
    });
  },
);

test('the tensors of a model have the shapes that its config says', () => {
  const tensors = llamaTensors({ ...SAMPLE_CONFIG, tiedEmbeddings: false });
  expect(Object.fromEntries(tensors)).toMatchObject({
    'model.embed_tokens.weight': [SAMPLE_CONFIG.vocabSize, 32],
    'model.layers.1.self_attn.q_proj.weight': [32, 32],
    'model.layers.1.self_attn.k_proj.weight': [16, 32],
    'model.layers.0.mlp.down_proj.weight': [32, 64],
    'lm_head.weight': [SAMPLE_CONFIG.vocabSize, 32],
  });
  expect(tensors.size).toBe(3 + 2 * 9);
  expect(llamaTensors(SAMPLE_CONFIG).has('lm_head.weight')).toBe(false);
});

const FULL = toHfConfig(SAMPLE_CONFIG);

describe('config.json', () => {
  test('is read back as it was written, with any scaling', () => {
    const scalings: LlamaConfig['ropeScaling'][] = [
      null,
      { kind: 'linear', factor: 2 },
      {
        kind: 'llama3',
        factor: 8,
        lowFrequencyFactor: 1,
        highFrequencyFactor: 4,
        originalContextLength: 64,
      },
    ];
    for (const ropeScaling of scalings) {
      const config = { ...SAMPLE_CONFIG, ropeScaling, eosTokenIds: [2, 0] };
      expect(parseHfConfig(toHfConfig(config), null, 'config.json')).toEqual(config);
    }
  });

  test('takes the defaults of transformers for what is left out', () => {
    const {
      num_key_value_heads,
      head_dim,
      rms_norm_eps,
      rope_theta,
      tie_word_embeddings,
      ...rest
    } = FULL;
    const config = parseHfConfig({ ...rest, bos_token_id: null }, null, 'config.json');
    expect(config).toMatchObject({
      kvHeadCount: 4,
      headSize: 8,
      rmsEps: 1e-6,
      ropeTheta: 10_000,
      tiedEmbeddings: false,
      bosTokenId: null,
    });
  });

  test('reads the newer form of the rotary fields', () => {
    const rope = { rope_type: 'default', rope_theta: 123 };
    const config = parseHfConfig(
      { ...FULL, rope_theta: null, rope_parameters: rope },
      null,
      'config.json',
    );
    expect(config).toMatchObject({ ropeTheta: 123, ropeScaling: null });
  });

  test('gains the end tokens of generation_config.json, which come first', () => {
    const config = parseHfConfig(FULL, { eos_token_id: [0, 2] }, 'config.json');
    expect(config.eosTokenIds).toEqual([0, 2]);
  });

  const refused: [change: { [key: string]: Json }, message: RegExp][] = [
    [{ model_type: 'mistral' }, /model_type is "mistral", expected "llama"/],
    [{ hidden_act: 'gelu' }, /hidden_act is "gelu"/],
    [{ attention_bias: true }, /attention_bias is true/],
    [{ mlp_bias: true }, /mlp_bias is true/],
    [{ hidden_size: '32' }, /hidden_size is "32", expected a number/],
    [{ hidden_size: null }, /hidden_size is null, expected a number/],
    [{ num_hidden_layers: 1e9 }, /layerCount is 1000000000, expected 1 to/],
    [{ num_hidden_layers: 0.5 }, /layerCount is 0.5/],
    [{ vocab_size: -1 }, /vocabSize is -1/],
    [{ num_key_value_heads: 3 }, /4 heads cannot share 3 k\/v heads/],
    [{ head_dim: 7 }, /headSize is 7/],
    [{ rms_norm_eps: 0 }, /rmsEps is 0/],
    [{ eos_token_id: 100_000 }, /token id 100000 is outside the vocabulary/],
    [{ eos_token_id: null }, /no end-of-text token/],
    [{ eos_token_id: 'x' }, /eos_token_id is "x"/],
    [{ rope_scaling: { rope_type: 'yarn', factor: 2 } }, /rope_type is "yarn"/],
    [{ rope_scaling: { type: 'linear' } }, /factor is null/],
  ];

  test.each(refused)('with %j is refused, naming the field', (change, message) => {
    const attempt = () => parseHfConfig({ ...FULL, ...change }, null, 'the/config.json');
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(/^the\/config\.json/);
  });
});

test('a config that we make ourselves passes its own check', () => {
  expect(() => checkLlamaConfig(SAMPLE_CONFIG, 'sample')).not.toThrow();
});
