// Takes training steps when it is told to, and answers with the milliseconds of each.

import { openBase } from '../../src/model/base/base-package.ts';
import { clipping, newAdamW, stepAdamW } from '../../src/training/core/adamw.ts';
import { collate } from '../../src/training/core/batch.ts';
import { freshLora } from '../../src/training/core/fresh-lora.ts';
import { seededRandom } from '../../src/training/core/random.ts';
import type { Recipe } from '../../src/training/core/recipe.ts';
import type { TokenExample } from '../../src/training/core/token-example.ts';
import { openLlamaLearner } from '../../src/training/llama-learner.ts';

/** Asks for one step; every request must be the same. */
export interface StepRequest {
  readonly baseDir: string;
  readonly recipe: Recipe;
  readonly rows: readonly TokenExample[];
  readonly threads: number;
}

let step: Promise<() => Promise<number>> | undefined;

process.on('message', (request: StepRequest) => {
  step ??= prepare(request);
  void step.then((take) => take()).then((ms) => process.send?.(ms));
});
process.once('disconnect', () => process.exit());

async function prepare({ baseDir, recipe, rows, threads }: StepRequest) {
  const base = await openBase(baseDir);
  const { lora, precision, maxTokens } = recipe;
  const learner = await openLlamaLearner({ base, lora, precision, maxTokens, threads });
  const theta = freshLora(base.config, lora, seededRandom('3'.repeat(64)));
  const state = newAdamW(theta.length);
  return async () => {
    const startedAt = performance.now();
    const { gradient } = await learner.step(collate(rows), theta);
    const { scale } = clipping(gradient, recipe.clipNorm);
    stepAdamW(theta, gradient, state, { ...recipe, gradientScale: scale });
    return performance.now() - startedAt;
  };
}
