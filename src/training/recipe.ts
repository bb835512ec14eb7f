// How an adapter is trained: everything besides the data and the base that its bytes depend on.

import type { LinearPrecision } from '../model/frozen-linear.ts';
import type { LlamaConfig } from '../model/llama-config.ts';
import type { LoraModule, LoraShape } from '../model/lora.ts';
import type { LoopOptions } from './core/train-loop.ts';

/** All choices of a run. Equal dataset, recipe and base give equal bytes (on one kind of processor). */
export interface Recipe extends LoopOptions {
  readonly lora: LoraShape;
  /** The numbers that the frozen linear layers are multiplied in. */
  readonly precision: LinearPrecision;
  /** Longer examples are cut. */
  readonly maxTokens: number;
}

/** The choices that a mode makes. */
export interface RecipeChoices {
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

/** The whole recipe of a mode on a base. */
export function recipeOf({ lora, training }: RecipeChoices, config: LlamaConfig): Recipe {
  const maxTokens = Math.min(training.maxTokens, config.contextLength);
  return { ...DEFAULTS, ...training, maxTokens, lora };
}
