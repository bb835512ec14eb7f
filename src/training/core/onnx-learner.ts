// A Llama with a LoRA, run by ONNX Runtime: what the training loop learns with, on a server and on a device.

import { must } from '../../lib/errors.ts';
import type { LlamaConfig } from '../../model/llama-config.ts';
import { type HostTensor, hostTensor } from '../../runtime/host-tensor.ts';
import type { Session } from '../../runtime/ort-session.ts';
import type { Batch } from './batch.ts';
import type { Learner, LossAndGradient } from './learner.ts';
import { microBatches } from './micro-batches.ts';
import type { PreferenceBatch } from './preference-batch.ts';

/** The graphs of llama-train.ts. */
export type TrainGraphName = 'prefix' | 'step' | 'preference' | 'score';

/** Opens one of the graphs, all of which are for the same model, LoRA and lengths. */
export type OpenGraph = (name: TrainGraphName) => Promise<Session>;

type Feeds = Record<string, HostTensor>;

/** How much a learner holds. */
export interface LearnerLimits {
  /** Of what comes out of the frozen lower layers. */
  readonly keptBytes?: number;
  /** Tokens whose activations a step keeps at a time, with their padding; more only where one row or pair has more. */
  readonly microBatchTokens?: number;
}

/** What comes out of the frozen lower layers is kept up to this: that of a thousand mails on the default base. Whoever has more pays
 *  with time, not with memory: of the others it is computed at each epoch. */
const KEPT_HIDDEN_BYTES = 256 * 2 ** 20;

/** Larger pieces are no faster: their activations leave the cache (docs/lab-log.md). */
const MICRO_BATCH_TOKENS = 256;

/** A learner over sessions that are opened when they are first needed. */
export class OnnxLearner implements Learner {
  readonly #config: LlamaConfig;
  readonly #prefixLayers: number;
  readonly #open: OpenGraph;
  readonly #sessions = new Map<TrainGraphName, Session>();
  /** What comes out of the frozen lower layers, per example: f32[length, H] */
  readonly #hidden = new Map<string, Float32Array>();
  /** Bytes that are free for more of it. */
  #room: number;
  readonly #keptBytes: number;
  readonly #microBatchTokens: number;

  /** `prefixLayers`: how many lower layers the graphs but for the prefix leave out. */
  constructor(
    { config, prefixLayers }: { readonly config: LlamaConfig; readonly prefixLayers: number },
    open: OpenGraph,
    { keptBytes = KEPT_HIDDEN_BYTES, microBatchTokens = MICRO_BATCH_TOKENS }: LearnerLimits = {},
  ) {
    this.#keptBytes = keptBytes;
    this.#room = keptBytes;
    this.#microBatchTokens = microBatchTokens;
    this.#config = config;
    this.#prefixLayers = prefixLayers;
    this.#open = open;
  }

  step(batch: Batch, theta: Float32Array): Promise<LossAndGradient> {
    return addUp(microBatches(batch, this.#microBatchTokens), (piece) => this.#step(piece, theta));
  }

  preferenceStep(batch: PreferenceBatch, theta: Float32Array): Promise<LossAndGradient> {
    const pieces = microBatches(batch, this.#microBatchTokens);
    return addUp(pieces, (piece) => this.#preferenceStep(piece, theta));
  }

  async #step(batch: Batch, theta: Float32Array): Promise<LossAndGradient> {
    const session = await this.#session('step');
    const feeds = await this.#feeds(batch, theta);
    return lossAndGradient(await session.run({ ...feeds, weights: column(batch.weights) }));
  }

  async #preferenceStep(batch: PreferenceBatch, theta: Float32Array): Promise<LossAndGradient> {
    const session = await this.#session('preference');
    const { pairs, reference, pairWeights, thumbWeights, weights } = batch;
    const outputs = await session.run({
      ...(await this.#feeds(batch, theta)),
      weights: column(weights),
      pairs: hostTensor(pairs, [reference.length, weights.length]),
      reference: column(reference),
      pairWeights: column(pairWeights),
      thumbWeights: column(thumbWeights),
    });
    return lossAndGradient(outputs);
  }

  async logProbs(batch: Batch, theta: Float32Array): Promise<Float32Array> {
    const session = await this.#session('score');
    const { logProbs } = await session.run(await this.#feeds(batch, theta));
    return floats(logProbs);
  }

  /** Forgets the examples that it has seen. */
  forget(): void {
    this.#hidden.clear();
    this.#room = this.#keptBytes;
  }

  /** Frees the sessions. */
  async close(): Promise<void> {
    for (const session of this.#sessions.values()) await session.close();
    this.#sessions.clear();
  }

  async #session(name: TrainGraphName): Promise<Session> {
    const session = this.#sessions.get(name) ?? (await this.#open(name));
    this.#sessions.set(name, session);
    return session;
  }

  async #feeds(batch: Batch, theta: Float32Array): Promise<Feeds> {
    const lower = lowerFeeds(batch, this.#config);
    const start =
      this.#prefixLayers === 0
        ? lower
        : { mask: must(lower.mask, 'a mask'), hidden: await this.#hiddenOf(batch, lower) };
    return {
      ...start,
      positions: hostTensor(batch.positions, [batch.positions.length]),
      targets: hostTensor(batch.targets, [batch.targets.length]),
      theta: hostTensor(theta, [theta.length]),
    };
  }

  /** Runs the frozen lower layers once per example, however often it is learned from, while there is room to keep what comes out.
   *  Returns f32[B, S, H] */
  async #hiddenOf(batch: Batch, feeds: Feeds): Promise<HostTensor> {
    const { examples, length: S } = batch;
    const H = this.#config.hiddenSize;
    const shape = [examples.length, S, H];
    const kept = examples.flatMap(({ sha256 }) => this.#hidden.get(sha256) ?? []);
    if (kept.length === examples.length) {
      const rows = new Float32Array(examples.length * S * H);
      for (const [row, hidden] of kept.entries()) rows.set(hidden, row * S * H);
      return hostTensor(rows, shape);
    }
    const session = await this.#session('prefix');
    const rows = floats((await session.run(feeds)).hidden);
    for (const [row, { sha256, ids }] of examples.entries())
      this.#keep(sha256, rows.subarray(row * S * H, (row * S + ids.length) * H));
    return hostTensor(rows, shape);
  }

  #keep(sha256: string, hidden: Float32Array): void {
    if (this.#hidden.has(sha256) || hidden.byteLength > this.#room) return;
    this.#hidden.set(sha256, hidden.slice());
    this.#room -= hidden.byteLength;
  }
}

function lowerFeeds({ examples, length, ids }: Batch, config: LlamaConfig): Feeds {
  const queriesPerKey = config.headCount / config.kvHeadCount;
  return {
    ids: hostTensor(ids, [examples.length, length]),
    mask: hostTensor(causalMask(length, queriesPerKey), [1, 1, queriesPerKey * length, length]),
  };
}

// Far below any score, and still a number that can be added to.
const HIDDEN = -1e9;

/** f32[G, S, S]: HIDDEN where a position would look at a later one. */
function causalMask(length: number, repeats: number): Float32Array {
  const mask = new Float32Array(length * length * repeats);
  for (let row = 0; row < length * repeats; row += 1)
    mask.fill(HIDDEN, row * length + (row % length) + 1, (row + 1) * length);
  return mask;
}

function column(values: Float32Array): HostTensor {
  return hostTensor(values, [values.length, 1]);
}

/** Takes the pieces one after the other, and sums what they give. */
async function addUp<B>(
  pieces: readonly B[],
  take: (piece: B) => Promise<LossAndGradient>,
): Promise<LossAndGradient> {
  const [first, ...others] = pieces;
  const start = await take(must(first, 'a batch has rows'));
  if (others.length === 0) return start;
  const { gradient } = start;
  let { loss } = start;
  for (const piece of others) {
    const more = await take(piece);
    loss += more.loss;
    for (let i = 0; i < gradient.length; i += 1)
      (gradient[i] as number) += more.gradient[i] as number;
  }
  return { loss, gradient };
}

function lossAndGradient({ loss, gradient }: Readonly<Feeds>): LossAndGradient {
  return { loss: Number(floats(loss)[0]), gradient: floats(gradient) };
}

function floats(tensor: HostTensor | undefined): Float32Array {
  return must(tensor, 'the graph has this output').data as Float32Array;
}
