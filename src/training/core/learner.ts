import type { Batch } from './batch.ts';

/** A model with a trainable adapter, as the training loop sees it: the loop knows no graph and no engine.
 *  `theta` is the adapter as one flat array, in the order of `loraPlaces`. */
export interface Learner {
  /** The loss of the batch and its gradient: f32, as long as theta, valid until the next call. */
  step(batch: Batch, theta: Float32Array): Promise<{ loss: number; gradient: Float32Array }>;
  /** Natural logarithm of each target token's probability: f32[M], in the batch's order. */
  logProbs(batch: Batch, theta: Float32Array): Promise<Float32Array>;
}
