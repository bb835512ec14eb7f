import { readdirSync, readFileSync, statSync } from 'node:fs';
import { Template } from '@huggingface/jinja';
import { Tokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const FOLDER = new URL('../../models/tiny/', import.meta.url);
const MOST_BYTES = 4_000_000;

const readJson = (name: string) => JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'));

interface TensorHeader {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** The safetensors format, read by hand: u64 length of the header, the header as JSON, the tensors' bytes. */
function readHeader() {
  const bytes = readFileSync(new URL('model.safetensors', FOLDER));
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const { __metadata__, ...tensors } = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes));
  return {
    tensors: tensors as Record<string, TensorHeader>,
    body: bytes.subarray(8 + headerBytes),
    metadata: __metadata__,
  };
}

function expectedShapes(config: Record<string, number>): Record<string, number[]> {
  const { hidden_size: hidden = 0, intermediate_size: inner = 0, vocab_size: vocab = 0 } = config;
  const kv = (config.num_key_value_heads ?? 0) * (config.head_dim ?? 0);
  const shapes: Record<string, number[]> = {
    'model.embed_tokens.weight': [vocab, hidden],
    'model.norm.weight': [hidden],
  };
  for (let layer = 0; layer < (config.num_hidden_layers ?? 0); layer++) {
    Object.assign(shapes, {
      [`model.layers.${layer}.input_layernorm.weight`]: [hidden],
      [`model.layers.${layer}.post_attention_layernorm.weight`]: [hidden],
      [`model.layers.${layer}.self_attn.q_proj.weight`]: [hidden, hidden],
      [`model.layers.${layer}.self_attn.k_proj.weight`]: [kv, hidden],
      [`model.layers.${layer}.self_attn.v_proj.weight`]: [kv, hidden],
      [`model.layers.${layer}.self_attn.o_proj.weight`]: [hidden, hidden],
      [`model.layers.${layer}.mlp.gate_proj.weight`]: [inner, hidden],
      [`model.layers.${layer}.mlp.up_proj.weight`]: [inner, hidden],
      [`model.layers.${layer}.mlp.down_proj.weight`]: [hidden, inner],
    });
  }
  return shapes;
}

describe('the tiny base', () => {
  test('its folder is small enough to ship', () => {
    const files = readdirSync(FOLDER, { recursive: true, withFileTypes: true });
    const shipped = files.filter(
      (file) => file.isFile() && !file.parentPath.includes('__pycache__'),
    );
    const sizeBytes = shipped.reduce(
      (sum, f) => sum + statSync(`${f.parentPath}/${f.name}`).size,
      0,
    );
    expect(sizeBytes).toBeLessThan(MOST_BYTES);
  });

  test('its config is that of a grouped-query Llama with sizes that int8 kernels like', () => {
    const config = readJson('config.json');
    expect(config).toMatchObject({
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      hidden_act: 'silu',
      tie_word_embeddings: true,
      eos_token_id: 2,
    });
    expect(config.head_dim * config.num_attention_heads).toBe(config.hidden_size);
    expect(config.num_key_value_heads).toBeLessThan(config.num_attention_heads);
    for (const size of [
      config.hidden_size,
      config.intermediate_size,
      config.vocab_size,
      config.head_dim,
    ]) {
      expect(size % 16).toBe(0);
    }
  });

  test('its checkpoint holds exactly the tensors that the config promises, in F16, without gaps', () => {
    const { tensors, body } = readHeader();
    const shapes = Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, t.shape]));
    expect(shapes).toEqual(expectedShapes(readJson('config.json')));
    let end = 0;
    for (const t of Object.values(tensors).sort((x, y) => x.data_offsets[0] - y.data_offsets[0])) {
      expect(t.dtype).toBe('F16');
      expect(t.data_offsets).toEqual([end, end + 2 * t.shape.reduce((a, b) => a * b, 1)]);
      end = t.data_offsets[1];
    }
    expect(end).toBe(body.byteLength);
  });

  test('its weights are finite numbers', () => {
    const { body } = readHeader();
    const halves = new Uint16Array(
      body.buffer.slice(body.byteOffset, body.byteOffset + body.byteLength),
    );
    // All exponent bits set: an infinity or not a number.
    expect(halves.every((half) => (half & 0x7c00) !== 0x7c00)).toBe(true);
  });
});

describe("the tiny base's tokenizer", () => {
  const tokenizer = new Tokenizer(readJson('tokenizer.json'), readJson('tokenizer_config.json'));

  test('has as many tokens as the config says', () => {
    const { model, added_tokens: added } = readJson('tokenizer.json');
    const ids = [...Object.values(model.vocab), ...added.map((token: { id: number }) => token.id)];
    expect(new Set(ids).size).toBe(readJson('config.json').vocab_size);
  });

  test('gives back every text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (text) => {
        const { ids } = tokenizer.encode(text, { add_special_tokens: false });
        expect(tokenizer.decode(ids, { clean_up_tokenization_spaces: false })).toBe(text);
      }),
    );
  });

  test('knows the three control tokens', () => {
    const ids = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'].map(
      (token) => tokenizer.encode(token).ids,
    );
    expect(ids).toEqual([[0], [1], [2]]);
  });

  test('frames a chat as SmolLM2 does, with a system message of its own when none is given', () => {
    const template = new Template(readJson('tokenizer_config.json').chat_template);
    const messages = [{ role: 'user', content: 'Hello' }];
    expect(template.render({ messages, add_generation_prompt: true })).toBe(
      '<|im_start|>system\nYou write short emails.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n',
    );
    const system = { role: 'system', content: 'Be brief.' };
    expect(template.render({ messages: [system, ...messages], add_generation_prompt: false })).toBe(
      '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n',
    );
  });
});
