// Training and measuring adapters in this process, each once: what was found is kept in a folder by what it follows from.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../../src/lib/sha256.ts';
import type { Base } from '../../src/model/base/base-package.ts';
import { noLora } from '../../src/model/lora/lora.ts';
import { freshLora } from '../../src/training/core/fresh-lora.ts';
import { learn } from '../../src/training/core/learn.ts';
import { seededRandom } from '../../src/training/core/random.ts';
import type { Recipe } from '../../src/training/core/recipe.ts';
import { meanLoss, scoreExamples } from '../../src/training/core/score.ts';
import type { TokenExample } from '../../src/training/core/token-example.ts';
import { type LlamaLearner, openLlamaLearner } from '../../src/training/llama-learner.ts';
import { kept } from '../kept.ts';

/** One adapter to train. */
export interface Trial {
  readonly name: string;
  readonly recipe: Recipe;
  readonly train: readonly TokenExample[];
  readonly validation: readonly TokenExample[];
  /** The adapter to go on from; absent: a new one. */
  readonly start?: Trained;
}

/** A trained adapter. */
export interface Trained {
  /** Names all that its numbers follow from. */
  readonly key: string;
  readonly theta: Float32Array;
  readonly steps: number;
  readonly validationLosses: readonly number[];
}

/** Trains and measures. */
export interface Bench {
  train(trial: Trial): Promise<Trained>;
  /** Mean nats per target token; null: of the base. */
  loss(examples: readonly TokenExample[], adapter: Trained | null): Promise<number>;
  close(): Promise<void>;
}

/** Opens a bench for adapters of the recipe's shape; `folder` is made when it is not there. */
export async function openBench(base: Base, shape: Recipe, folder: string): Promise<Bench> {
  const { lora, precision, maxTokens } = shape;
  const open = () => openLlamaLearner({ base, lora, precision, maxTokens, threads: 1 });
  await mkdir(folder, { recursive: true });
  let opened: Promise<LlamaLearner> | undefined;
  // nothing is opened where everything is known already
  const learner = () => {
    opened ??= open();
    return opened;
  };
  const none = noLora(base.config, lora);
  return {
    train: (trial) => {
      const { incremental: _, ...recipe } = trial.recipe;
      const start = trial.start?.key ?? null;
      const key = sha256(JSON.stringify([base.sha256, recipe, hashes(trial), start]));
      return kept(join(folder, key), async () => trainOne(await learner(), base, trial, key));
    },
    loss: async (examples, adapter) => {
      const key = sha256(JSON.stringify([base.sha256, ids(examples), adapter?.key ?? null]));
      const found = await kept(join(folder, key), async () => {
        const scores = await scoreExamples(await learner(), examples, adapter?.theta ?? none);
        return { loss: meanLoss(scores) };
      });
      return found.loss;
    },
    close: async () => (await opened)?.close(),
  };
}

async function trainOne(
  learner: LlamaLearner,
  base: Base,
  trial: Trial,
  key: string,
): Promise<Trained> {
  const { name, recipe, train, validation, start } = trial;
  const randomOf = (purpose: string) => seededRandom(sha256(`${key} ${purpose}`));
  const part = (examples: readonly TokenExample[]) => ({ examples, pairs: [], thumbs: [] });
  const startedAt = performance.now();
  const { theta, losses, validationLosses } = await learn(
    recipe,
    { train: part(train), validation: part(validation), holdout: part([]), notes: [] },
    {
      learner,
      start: start?.theta ?? freshLora(base.config, recipe.lora, randomOf('weights')),
      reference: noLora(base.config, recipe.lora),
      randomOf,
      onStep: () => undefined,
      checkpointsOf: () => null,
    },
  );
  const seconds = (performance.now() - startedAt) / 1000;
  const shown = validationLosses.map((loss) => loss.toFixed(3)).join(' ');
  console.error(`${name}: ${losses.length} steps, validation ${shown}, ${seconds.toFixed(0)} s`);
  return { key, theta, steps: losses.length, validationLosses };
}

function hashes({ train, validation }: Trial): readonly (readonly string[])[] {
  return [ids(train), ids(validation)];
}

function ids(examples: readonly TokenExample[]): readonly string[] {
  return examples.map((example) => example.sha256);
}
