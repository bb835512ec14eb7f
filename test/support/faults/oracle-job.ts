// What gradients.py and our graphs are both asked: examples and an adapter that follow from the base's shape alone.

import type { Base } from '../../../src/model/base/base-package.ts';
import { LORA_MODULES, type LoraAdapter, type LoraShape } from '../../../src/model/lora/lora.ts';
import type { TokenPair } from '../../../src/training/core/preference-batch.ts';
import type { TokenExample } from '../../../src/training/core/token-example.ts';
import { mismatchedAnswers, type TokenThumb } from '../../../src/training/core/token-thumb.ts';
import { randomAdapter } from '../model/random-llama.ts';

/** Adapted layers and rank differ, so that both forms of a PEFT folder are read by PEFT. */
export const ORACLE_SHAPES = {
  tiny: { rank: 4, alpha: 8, modules: LORA_MODULES },
  default: { rank: 8, alpha: 16, modules: LORA_MODULES, layers: [0, 14, 29] },
} as const satisfies Record<string, LoraShape>;

/** The bases that are compared. */
export type OracleBase = keyof typeof ORACLE_SHAPES;

// below every vocabulary that we compare
const ID_LIMIT = 2000;

/** Rows of unlike length. */
export const ORACLE_EXAMPLES: readonly TokenExample[] = [
  { length: 24, promptLength: 15 },
  { length: 9, promptLength: 3 },
  { length: 40, promptLength: 33 },
  { length: 3, promptLength: 1 },
].map(({ length, promptLength }, row) => ({
  sha256: `${row}`,
  ids: Array.from({ length }, (_, at) => (row * 101 + at * 37 + at * at * 3) % ID_LIMIT),
  promptLength,
}));

/** Two answers of unlike length to each of some prompts, in the same ids. */
export const ORACLE_PAIRS: readonly TokenPair[] = [
  { prompt: 11, chosen: 8, rejected: 5 },
  { prompt: 4, chosen: 3, rejected: 12 },
  { prompt: 20, chosen: 6, rejected: 6 },
].map(({ prompt, chosen, rejected }, row) => {
  const rowOf = (answer: number, salt: number): TokenExample => ({
    sha256: `${row} ${salt}`,
    ids: Array.from({ length: prompt + answer }, (_, at) => {
      const shift = at < prompt ? 0 : salt;
      return (row * 211 + at * 53 + at * at * 7 + shift) % ID_LIMIT;
    }),
    promptLength: prompt,
  });
  return { sha256: `${row}`, chosen: rowOf(chosen, 17), rejected: rowOf(rejected, 901) };
});

/** Answers of those pairs with a lone thumb each. */
export const ORACLE_THUMBS: readonly TokenThumb[] = ORACLE_PAIRS.flatMap((pair, i) => [
  { sha256: `${i} a`, isGood: i !== 1, answer: pair.chosen },
  { sha256: `${i} b`, isGood: i === 1, answer: pair.rejected },
]).slice(1);

/** Their prompts with each other's answers. */
export const ORACLE_MISMATCHED = mismatchedAnswers(ORACLE_THUMBS, 64);

/** An adapter of numbers small enough to leave the model sensible and large enough to matter. */
export function oracleAdapter(base: Base, name: OracleBase): LoraAdapter {
  const adapter = randomAdapter(base.config, ORACLE_SHAPES[name], 11);
  const tensors = adapter.tensors.map((tensor) => ({ ...tensor, b: tensor.b.map((x) => x / 4) }));
  return { ...adapter, tensors };
}
