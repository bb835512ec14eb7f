// A user who rates by one fixed rule of style, and the answers that the user is shown.

import { join } from 'node:path';
import type { Engine } from '../../src/inference/engine-client.ts';
import type { AdapterFolder } from '../../src/inference/engine-protocol.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { type Base, loadTokenizer } from '../../src/model/base/base-package.ts';
import type { Mode } from '../../src/modes/mode.ts';
import { renderPrompt } from '../../src/modes/prompt.ts';
import type { TrainingPreference } from '../../src/training/core/training-set.ts';
import { kept } from '../kept.ts';

/** Answers one mail is given. */
export interface Sampler {
  /** Two answers of the adapter (null: of the base) to each mail; another `seed`, other answers. */
  pairs(
    bodies: readonly string[],
    adapter: AdapterFolder | null,
    seed: number,
  ): Promise<readonly (readonly [string, string])[]>;
}

const TEMPERATURE = 1;
const MAX_TOKENS = 24;

/** Samples answers of the mode through an engine; what was sampled once is read from `folder`. */
export async function samplerOf(
  engine: () => Promise<Engine>,
  { base, mode, folder }: { readonly base: Base; readonly mode: Mode; readonly folder: string },
): Promise<Sampler> {
  const tokenizer = await loadTokenizer(base);
  const answer = async (body: string, adapter: AdapterFolder | null, seed: number) => {
    const messages = renderPrompt(mode, { body }, {});
    const request = {
      promptIds: tokenizer.encodeChat(messages, { addGenerationPrompt: true }),
      ...{ adapter, seed, maxTokens: MAX_TOKENS, temperature: TEMPERATURE, topP: 1 },
      stop: ['\n'],
      userId: 'rater',
    };
    for await (const event of (await engine()).generate(request, new AbortController().signal))
      if (event.kind === 'done') return event.text.trim();
    throw new Error('the answer has no end');
  };
  return {
    pairs: (bodies, adapter, seed) => {
      const prompts = bodies.map((body) => renderPrompt(mode, { body }, {}));
      const name = [base.sha256, adapter?.sha256, seed, TEMPERATURE, MAX_TOKENS, prompts];
      return kept(join(folder, `answers-${sha256(JSON.stringify(name))}`), () =>
        Promise.all(
          bodies.map((body, i) => {
            const own = 2 * (seed + i);
            return Promise.all([answer(body, adapter, own), answer(body, adapter, own + 1)]);
          }),
        ),
      );
    },
  };
}

/** How well an answer is in the rater's style: few words, few capital letters, nothing but words. */
export function styleOf(text: string): number {
  const words = text.split(/\s+/).filter((word) => word !== '').length;
  const capitals = text.match(/\p{Lu}/gu)?.length ?? 0;
  const marks = text.match(/[^\p{L}\p{N}\s]/gu)?.length ?? 0;
  return -(words + capitals + 2 * marks);
}

// Less than this apart, the rater has no opinion.
const LEAST_DIFFERENCE = 2;

/** What the rater says about two answers to a mail: null when they are as good as each other or one is empty. */
export function rate(
  messages: TrainingPreference['messages'],
  answers: readonly [string, string],
  split: TrainingPreference['split'],
): TrainingPreference | null {
  const [first, second] = answers;
  const difference = styleOf(first) - styleOf(second);
  if (Math.abs(difference) < LEAST_DIFFERENCE || answers.includes('')) return null;
  const [chosen, rejected] = difference > 0 ? [first, second] : [second, first];
  return {
    ...{ messages, chosen, rejected, split },
    sha256: sha256(JSON.stringify([split, messages, chosen, rejected])),
  };
}
