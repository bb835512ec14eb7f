// How an adapter is trained: everything besides the data and the base that its bytes depend on.

import type { LinearPrecision } from '../model/frozen-linear.ts';
import type { LlamaConfig } from '../model/llama-config.ts';
import type { LoraModule, LoraShape } from '../model/lora.ts';
import type { DpoOptions } from './core/preference-batch.ts';
import type { LoopOptions } from './core/train-loop.ts';

/** All choices of a run. Equal dataset, recipe and base give equal bytes (on one kind of processor). */
export interface Recipe extends LoopOptions {
  readonly lora: LoraShape;
  /** The numbers that the frozen linear layers are multiplied in. */
  readonly precision: LinearPrecision;
  /** Longer examples are cut. */
  readonly maxTokens: number;
  /** How preferences are learnt; absent: they are only measured. */
  readonly dpo?: DpoRecipe;
}

/** The lesson of preferences. It is left out where the data has no pair to learn from. */
export interface DpoRecipe extends DpoOptions {
  /** Whether the adapter learns to write the examples first; else only where there are no pairs. */
  readonly afterWriting: boolean;
  /** Its share of the recipe's learning rate. */
  readonly learningRateShare: number;
}

/** The choices that a mode makes. */
export interface RecipeChoices {
  readonly objective: 'SFT' | 'DPO' | 'SFT_THEN_DPO';
  readonly lora: {
    readonly rank: number;
    readonly alpha: number;
    readonly modules: readonly LoraModule[];
  };
  readonly training: {
    readonly learningRate: number;
    readonly epochs: number;
    readonly batchSize: number;
    readonly maxTokens: number;
  };
}

// What modes leave to us; docs/lab-log.md has the measurements behind the numbers.
const DEFAULTS = {
  precision: 'int8-backward',
  warmupShare: 0.1,
  weightDecay: 0,
  clipNorm: 1,
  patience: 2,
} as const;

// The weights of "The Llama 3 herd of models", section 4.1.4. A pair's gradient is steeper than an example's.
const DPO_DEFAULTS = { beta: 0.1, sftWeight: 0.2, learningRateShare: 0.25 } as const;

/** The whole recipe of a mode on a base. */
export function recipeOf(choices: RecipeChoices, config: LlamaConfig): Recipe {
  const { lora, training, objective } = choices;
  const maxTokens = Math.min(training.maxTokens, config.contextLength);
  const writing = { ...DEFAULTS, ...training, maxTokens, lora };
  if (objective === 'SFT') return writing;
  return { ...writing, dpo: { ...DPO_DEFAULTS, afterWriting: objective === 'SFT_THEN_DPO' } };
}
