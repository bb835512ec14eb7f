// A training job that a test base can learn within a second: texts that follow one simple rule.

import { sha256 } from '../../../src/lib/sha256.ts';
import type { Base } from '../../../src/model/base/base-package.ts';
import { LORA_MODULES } from '../../../src/model/lora/lora.ts';
import type { DpoRecipe, Recipe } from '../../../src/training/core/recipe.ts';
import type {
  TrainingExample,
  TrainingPreference,
  TrainingThumb,
} from '../../../src/training/core/training-set.ts';
import type { TrainingJob } from '../../../src/training/training-job.ts';

/** A small recipe for small bases. */
export const SMALL_RECIPE: Recipe = {
  lora: { rank: 4, alpha: 8, modules: LORA_MODULES },
  precision: 'fp32',
  learningRate: 0.01,
  warmupShare: 0.1,
  weightDecay: 0,
  clipNorm: 1,
  epochs: 3,
  batchSize: 4,
  maxTokens: 96,
  patience: 2,
  onShipped: { epochs: 2, learningRateShare: 0.3 },
  incremental: { epochs: 2, learningRateShare: 0.5, replay: 2 },
};

/** How the small recipe learns preferences, if it does. */
export const SMALL_DPO: DpoRecipe = {
  beta: 0.1,
  sftWeight: 0.2,
  learningRateShare: 0.5,
  epochs: 3,
  thumbWeights: { up: 1, down: 1 },
  reference: 'base',
  afterWriting: false,
  replay: 0,
};

const WORDS = ['tea', 'rain', 'boat', 'lamp', 'road', 'fish', 'corn', 'moon', 'salt', 'wood'];

/** Prompts with a word each; the answer is always "about <word>". */
export function ruleExamples(count: number): TrainingExample[] {
  return Array.from({ length: count }, (_, i) => {
    const word = `${WORDS[i % WORDS.length]} ${Math.floor(i / WORDS.length)}`;
    const part = i % 10;
    return {
      split: part < 7 ? 'train' : part < 8 ? 'validation' : 'holdout',
      messages: [{ role: 'user', content: `say: ${word}` }],
      target: `about ${word}`,
      sha256: sha256(word),
    };
  });
}

/** Pairs about the same prompts: the answer that is to be preferred says "on", the other one "about". */
export function rulePairs(count: number): TrainingPreference[] {
  return ruleExamples(count).map(({ split, messages, target, sha256: example }) => ({
    split,
    messages,
    chosen: target.replace('about', 'on'),
    rejected: target,
    sha256: sha256(`pair ${example}`),
  }));
}

/** Lone thumbs about the same prompts, by turns: up for an answer that says "on", down for one that says "about". */
export function ruleThumbs(count: number): TrainingThumb[] {
  return rulePairs(count).map(({ split, messages, chosen, rejected, sha256: pair }, i) => ({
    ...{ split, messages, isGood: i % 2 === 0 },
    answer: i % 2 === 0 ? chosen : rejected,
    sha256: sha256(`thumb ${pair}`),
  }));
}

/** A job over these examples. */
export function trainingJob(
  base: Base,
  outDir: string,
  changes: Partial<TrainingJob> = {},
): TrainingJob {
  const examples = ruleExamples(30);
  return {
    baseDir: base.dir,
    recipe: SMALL_RECIPE,
    datasetSha256: sha256(examples.map((example) => example.sha256).join()),
    examples,
    preferences: [],
    liveAdapterDir: null,
    outDir,
    ...changes,
  };
}
