import type { Batch } from './batch.ts';
import type { PreferenceBatch } from './preference-batch.ts';

/** What a step gives: a loss, and its gradient: f32, as long as theta, valid until the next call. */
export interface LossAndGradient {
  readonly loss: number;
  readonly gradient: Float32Array;
}

/** How the epochs of a run are judged. */
export interface Judge {
  /** Scores adapters that do not change meanwhile. */
  readonly scorer: Pick<Learner, 'logProbs'>;
  /** A copy of theta as it would be published: what is judged is what would answer. */
  asPublished(theta: Float32Array): Float32Array;
}

/** A model with a trainable adapter, as the training loop sees it: the loop knows no graph and no engine.
 *  `theta` is the adapter as one flat array, in the order of `loraPlaces`. */
export interface Learner {
  /** The loss of writing the batch's targets. */
  step(batch: Batch, theta: Float32Array): Promise<LossAndGradient>;
  /** The loss of preferring the batch's chosen answers. */
  preferenceStep(batch: PreferenceBatch, theta: Float32Array): Promise<LossAndGradient>;
  /** Natural logarithm of each target token's probability: f32[M], in the batch's order. */
  logProbs(batch: Batch, theta: Float32Array): Promise<Float32Array>;
}
