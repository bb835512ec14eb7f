// A training run on a device, from texts to a measured adapter: the recipe, the loop and the gate are the server's, the
// graphs come as files, and whoever calls keeps the checkpoints. It knows nothing of storage, networks or users.

import {
  type AdapterContent,
  encodePeftTensors,
  readAdapterContent,
} from '../../adapters/peft-content.ts';
import { encodeWireFile } from '../../adapters/wire-file.ts';
import { canonicalJson, type Json } from '../../lib/canonical-json.ts';
import { must } from '../../lib/errors.ts';
import { textSha256 } from '../../lib/text-sha256.ts';
import { type BaseTexts, parseBaseTexts } from '../../model/base/base-texts.ts';
import type { DeviceTrainGraphName } from '../../model/decode/device-graph-name.ts';
import type { LlamaConfig } from '../../model/llama-config.ts';
import {
  coveringShape,
  type LoraAdapter,
  loraLayers,
  noLora,
  unflattenLora,
} from '../../model/lora/lora.ts';
import { roundLora } from '../../model/lora/lora-wire.ts';
import {
  type FileContent,
  type ModelContent,
  type Ort,
  openOrtSession,
} from '../../runtime/ort-session.ts';
import { freshLora, laidOver } from './fresh-lora.ts';
import { decideGate, type GateOptions, type GateVerdict } from './gate.ts';
import { probeExamples } from './general-probe.ts';
import { learn } from './learn.ts';
import type { Learner } from './learner.ts';
import { measureHoldout } from './measure-holdout.ts';
import { OnnxLearner } from './onnx-learner.ts';
import { seededRandom } from './random.ts';
import { type Recipe, type RecipeChoices, recipeFrom, recipeOf } from './recipe.ts';
import { withReplay } from './replay.ts';
import { nllUnder } from './score.ts';
import { tokeniseParts } from './tokenise-parts.ts';
import type { LoopState, StepReport } from './train-loop.ts';
import type { TrainingExample } from './training-set.ts';

/** What a device trains with. */
export interface DeviceTrainBase extends BaseTexts {
  /** The base's hash, which adapters name. */
  readonly sha256: string;
  readonly weights: ModelContent['weights'];
  /** No prefix: all layers are adapted. */
  readonly graphs: Readonly<Partial<Record<DeviceTrainGraphName, FileContent>>>;
}

/** An adapter that knows some of the data. */
export interface DeviceWarmStart {
  readonly adapter: AdapterContent;
  /** SHA-256 of its tensors: the run's bytes depend on it. */
  readonly sha256: string;
  /** Hashes of the examples that it was trained on, and the name of that dataset. */
  readonly learnt: readonly string[];
  readonly datasetSha256: string;
}

/** One run. */
export interface DeviceTrainJob {
  readonly base: DeviceTrainBase;
  readonly choices: RecipeChoices;
  readonly gate: GateOptions;
  readonly datasetSha256: string;
  readonly examples: readonly TrainingExample[];
  /** What the mode ships, to begin from where it fits. */
  readonly shipped: AdapterContent | null;
  /** Goes on from this adapter, with what is new and a replay of the rest; null: from scratch, with everything. */
  readonly warmStart: DeviceWarmStart | null;
  /** The adapter to compare with. */
  readonly live: AdapterContent | null;
  /** Where this very run was left; null: at its beginning. */
  readonly state: LoopState | null;
}

/** How a run is watched and stopped. */
export interface DeviceTrainHooks {
  onStep?(report: StepReport): void;
  /** Keeps the state, from which the run goes on; it may change as soon as the promise is settled. */
  onCheckpoint?(state: LoopState): Promise<void>;
  readonly signal?: AbortSignal;
  /** Lets others have the thread between two steps. */
  rest?(): Promise<void>;
}

/** What a run made and measured. */
export interface DeviceTrainResult {
  /** The wire form of the adapter. */
  readonly wire: Uint8Array;
  readonly verdict: GateVerdict;
  readonly losses: readonly number[];
  readonly validationLosses: readonly number[];
  /** How many it learnt from. */
  readonly examples: number;
}

/** Steps that a closed tab may cost. */
const CHECKPOINT_STEPS = 5;

/** Names a run: whatever its bytes follow from. */
export function deviceRunName(
  baseSha256: string,
  job: Pick<DeviceTrainJob, 'choices' | 'datasetSha256'>,
  start: {
    readonly shippedSha256: string | null;
    readonly warm: Pick<DeviceWarmStart, 'sha256' | 'datasetSha256'> | null;
  },
): string {
  const { choices, datasetSha256 } = job;
  const warm = start.warm && [start.warm.sha256, start.warm.datasetSha256];
  const from = warm === null ? start.shippedSha256 : warm;
  const parts = [baseSha256, choices as unknown as Json, datasetSha256, from];
  return textSha256(canonicalJson(parts));
}

/** Trains and measures. The same job gives the same bytes on the same machine, also when it goes on from a state.
 *  Throws UntrainableError, BAD_INPUT for files that are no such base or adapter, and the signal's reason. */
export async function trainOnDevice(
  ort: Ort,
  job: DeviceTrainJob,
  { onStep = () => undefined, onCheckpoint, ...pauses }: DeviceTrainHooks,
  threads?: number,
): Promise<DeviceTrainResult> {
  const { config, tokenizer } = parseBaseTexts(job.base);
  const { warmStart } = job;
  const recipe = recipeOf(job.choices, config);
  const base = { sha256: job.base.sha256, config };
  const read = (content: AdapterContent | null) =>
    content === null ? null : fitting(readAdapterContent(content, base), config, recipe);
  const runName = deviceRunName(base.sha256, job, { shippedSha256: null, warm: warmStart });
  const randomOf = (purpose: string) => seededRandom(textSha256(`${runName} ${purpose}`));
  const examples =
    warmStart === null
      ? job.examples
      : withReplay(job.examples, warmStart, {
          replay: recipe.incremental.replay,
          random: randomOf('replay'),
        });
  const parts = tokeniseParts({ recipe, examples, preferences: [] }, tokenizer);
  const fresh = () => freshLora(config, recipe.lora, randomOf('weights'));
  const first = read(warmStart?.adapter ?? job.shipped);
  if (warmStart !== null) must(first, 'a warm start fits into the graphs');
  const start = first === null ? fresh() : laidOver(first, { config, shape: recipe.lora }, fresh);
  const given = warmStart === null ? 'shipped' : 'earlier';
  const kind = first === null ? 'fresh' : given;
  const onnx = openLearner(ort, job.base, { config, recipe, threads });
  const learner = pausing(onnx, pauses);
  const write = onCheckpoint ?? (() => Promise.resolve());
  const bare = noLora(config, recipe.lora);
  try {
    const learnt = await learn(recipeFrom(kind, recipe), parts, {
      ...{ learner, start, randomOf, onStep },
      reference: bare,
      checkpointsOf: () => ({
        ...{ everySteps: CHECKPOINT_STEPS, write },
        read: () => Promise.resolve(job.state),
      }),
    });
    // what is measured is what is published
    const candidate = roundLora(unflattenLora(config, recipe.lora, learnt.theta));
    const probe = probeExamples(tokenizer, recipe.maxTokens);
    const measures = await measureHoldout(
      { ...parts.holdout, probe, baseProbeNll: await nllUnder(learner, probe, bare) },
      { candidate, live: read(job.live) },
      { learner, config, shape: recipe.lora },
    );
    const wire = encodeWireFile(encodePeftTensors(candidate, base));
    return {
      wire: must(wire, 'a rounded adapter has a wire form'),
      verdict: decideGate(measures, job.gate),
      losses: learnt.losses,
      validationLosses: learnt.validationLosses,
      examples: parts.train.examples.length,
    };
  } finally {
    await onnx.close();
  }
}

/** The adapter if it fits into the graphs, which are for the recipe's shape: one of another shape is no start, and cannot be
 *  compared with. */
function fitting(adapter: LoraAdapter, config: LlamaConfig, { lora }: Recipe): LoraAdapter | null {
  return coveringShape(config, lora, adapter.shape) === lora ? adapter : null;
}

function openLearner(
  ort: Ort,
  { graphs, weights }: DeviceTrainBase,
  { config, recipe, threads }: { config: LlamaConfig; recipe: Recipe; threads: number | undefined },
): OnnxLearner {
  const prefixLayers = Math.min(...loraLayers(config, recipe.lora));
  return new OnnxLearner({ config, prefixLayers }, (name) => {
    if (name === 'preference') throw new Error('a device has no preferences');
    const graph = must(graphs[name], `the training graph ${name}`);
    return openOrtSession(ort, { graph, weights }, threads);
  });
}

/** The learner, which rests before each step of work. */
function pausing(
  learner: Learner,
  { signal, rest = () => Promise.resolve() }: Pick<DeviceTrainHooks, 'signal' | 'rest'>,
): Learner {
  const pause = async () => {
    await rest();
    signal?.throwIfAborted();
  };
  return {
    step: async (batch, theta) => {
      await pause();
      return learner.step(batch, theta);
    },
    preferenceStep: async (batch, theta) => {
      await pause();
      return learner.preferenceStep(batch, theta);
    },
    logProbs: async (batch, theta) => {
      await pause();
      return learner.logProbs(batch, theta);
    },
  };
}
