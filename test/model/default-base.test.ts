// The default base as it was installed on this machine, against what Python's libraries made of it (test/oracle/logits.py).

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { must } from '../../src/lib/errors.ts';
import { loadTokenizer } from '../../src/model/base/base-package.ts';
import { llamaTensors } from '../../src/model/llama-config.ts';
import { readSafetensors } from '../../src/model/safetensors/safetensors.ts';
import { realBase } from '../support/model/real-base.ts';

const oracle = (name: string) =>
  readFileSync(new URL(`../oracle/${name}`, import.meta.url), 'utf8');

interface Recorded {
  readonly base: string;
  readonly prompts: readonly { readonly text: string; readonly ids: readonly number[] }[];
  readonly text: { readonly ids: readonly number[] };
}

const RECORDED: Recorded = JSON.parse(oracle('recorded/logits.json'));

describe.skipIf(realBase === null)('the default base', () => {
  const base = () => must(realBase, 'suites without it do not run');

  test('is the very package that the recorded figures were taken from', () => {
    expect(base().sha256).toBe(RECORDED.base);
    expect(base().name).toBe('SmolLM2-135M-Instruct');
  });

  test('has the tensors that its config says', () => {
    const { tensors } = readSafetensors(`${base().dir}/model.safetensors`);
    const shapes = [...llamaTensors(base().config)].sort();
    expect([...tensors].map(([name, { shape }]) => [name, shape]).sort()).toEqual(shapes);
  });

  test("encodes as Hugging Face's tokenizers does in Rust", async () => {
    const tokenizer = await loadTokenizer(base());
    expect(tokenizer.encode(oracle('text.txt'))).toEqual(RECORDED.text.ids);
    const plain = RECORDED.prompts.filter(({ text }) => !text.includes('<|im_start|>'));
    for (const { text, ids } of plain) expect(tokenizer.encode(text), text).toEqual(ids);
  });

  test("writes a chat as the model was taught, with the template's control tokens", async () => {
    const tokenizer = await loadTokenizer(base());
    const chat = must(
      RECORDED.prompts.find(({ text }) => text.includes('<|im_start|>')),
      'a chat',
    );
    const content = must(/user\n(.*?)<\|im_end\|>/s.exec(chat.text)?.[1], 'what the user says');
    const options = { addGenerationPrompt: true };
    expect(tokenizer.applyChatTemplate([{ role: 'user', content }], options)).toBe(chat.text);
    expect(tokenizer.encodeChat([{ role: 'user', content }], options)).toEqual(chat.ids);
    expect(tokenizer.eosTokenIds).toEqual([2]);
  });
});
