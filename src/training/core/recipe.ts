// How an adapter is trained: everything besides the data and the base that its bytes depend on.

import type { LlamaConfig } from '../../model/llama-config.ts';
import type { LoraModule, LoraShape } from '../../model/lora/lora.ts';
import type { LinearPrecision } from '../../model/train/frozen-linear.ts';
import type { DpoOptions } from './preference-batch.ts';
import type { LoopOptions } from './train-loop.ts';

/** All choices of a run. Equal dataset, recipe and base give equal bytes (on one kind of processor). */
export interface Recipe extends LoopOptions {
  readonly lora: LoraShape;
  /** The numbers that the frozen linear layers are multiplied in. */
  readonly precision: LinearPrecision;
  /** Longer examples are cut. */
  readonly maxTokens: number;
  /** How preferences are learnt; absent: they are only measured. */
  readonly dpo?: DpoRecipe;
  /** What is different where a run from scratch begins from the adapter that its mode ships. */
  readonly onShipped: LaterStart;
  /** What is different where a run goes on from an earlier adapter of the user's. */
  readonly incremental: IncrementalRecipe;
}

/** A run that begins from an adapter: it has less to learn, and at the whole rate it would lose what it knows. */
interface LaterStart {
  readonly epochs: number;
  /** Its share of the recipe's learning rate. */
  readonly learningRateShare: number;
}

/** A run that goes on from an earlier adapter: it learns what is new, and some of what is old lest it forgets that. */
export interface IncrementalRecipe extends LaterStart {
  /** How many old ones are repeated for each new example, and for each new preference, drawn at random; 4 at least. */
  readonly replay: number;
}

/** The lesson of preferences. It is left out where the data has no pair to learn from. */
export interface DpoRecipe extends DpoOptions {
  /** Whether the adapter learns to write the examples first; else only where there are no pairs. */
  readonly afterWriting: boolean;
  /** How many examples go on being written for each preference where writing came first, so that preferring does not push
   *  it out. */
  readonly replay: number;
  /** Its share of the recipe's learning rate. */
  readonly learningRateShare: number;
  /** All are made, wherever a run begins: a handful of pairs says little after one. */
  readonly epochs: number;
  /** The model not to stray from: the base with the mode's shipped adapter if there is one, or with the adapter that
   *  the run begins from. A run from scratch begins from the former, so that only warm starts tell the two apart. */
  readonly reference: 'base' | 'start';
}

/** Where a run begins: at a fresh LoRA, at the adapter that its mode ships, or at an earlier one of the user's. */
export type StartKind = 'fresh' | 'shipped' | 'earlier';

/** The choices that a mode makes. */
export interface RecipeChoices {
  readonly objective: 'SFT' | 'DPO' | 'SFT_THEN_DPO';
  readonly lora: {
    readonly rank: number;
    readonly alpha: number;
    readonly modules: readonly LoraModule[];
    /** So many layers, counted from the last one, are adapted; absent: all of them. */
    readonly topLayers?: number;
  };
  readonly training: {
    readonly learningRate: number;
    readonly epochs: number;
    readonly batchSize: number;
    readonly maxTokens: number;
  };
  readonly incremental: IncrementalRecipe;
  readonly preferences: Pick<DpoRecipe, 'reference'>;
}

// What modes leave to us; docs/lab-log.md has the measurements behind the numbers.
const DEFAULTS = {
  precision: 'int8',
  warmupShare: 0.1,
  weightDecay: 0,
  clipNorm: 1,
  patience: 1,
} as const;

// What twenty writers' adapters on top of others' showed: 0.0003, a fifth of what one's own from nothing takes, and never
// more than two epochs (docs/lab-log.md).
const ON_SHIPPED = { mostEpochs: 2, learningRateShare: 0.2 } as const;

// Beta and the writing weight of "The Llama 3 herd of models", section 4.1.4. A pair's gradient is steeper than an example's:
// a third of the rate; docs/lab-log.md has the search.
const DPO_DEFAULTS = {
  beta: 0.1,
  sftWeight: 0.2,
  learningRateShare: 1 / 3,
  epochs: 2,
  replay: 2,
  thumbWeights: { up: 1, down: 1 },
} as const;

/** The whole recipe of a mode on a base. */
export function recipeOf(choices: RecipeChoices, config: LlamaConfig): Recipe {
  const { lora, training, objective } = choices;
  const { epochs, learningRateShare, replay } = choices.incremental;
  const writing = {
    ...DEFAULTS,
    ...training,
    maxTokens: Math.min(training.maxTokens, config.contextLength),
    lora: shapeOf(lora, config),
    onShipped: {
      epochs: Math.min(training.epochs, ON_SHIPPED.mostEpochs),
      learningRateShare: ON_SHIPPED.learningRateShare,
    },
    incremental: { epochs, learningRateShare, replay },
  };
  if (objective === 'SFT') return writing;
  const { reference } = choices.preferences;
  const afterWriting = objective === 'SFT_THEN_DPO';
  return { ...writing, dpo: { ...DPO_DEFAULTS, afterWriting, reference } };
}

/** The layers below are the same for every adapter: what comes out of them is computed once per example. */
function shapeOf({ topLayers, ...lora }: RecipeChoices['lora'], config: LlamaConfig): LoraShape {
  const { layerCount } = config;
  if (topLayers === undefined || topLayers >= layerCount) return lora;
  const layers = Array.from({ length: topLayers }, (_, i) => layerCount - topLayers + i);
  return { ...lora, layers };
}

/** The recipe as a run follows it that begins there. */
export function recipeFrom(start: StartKind, recipe: Recipe): Recipe {
  if (start === 'fresh') return recipe;
  const { epochs, learningRateShare } = start === 'shipped' ? recipe.onShipped : recipe.incremental;
  const learningRate = recipe.learningRate * learningRateShare;
  // the first epoch may well be worse than the adapter that it begins from
  return { ...recipe, epochs, learningRate, patience: epochs };
}
