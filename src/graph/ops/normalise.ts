// Operators that work on whole rows: softmax, root-mean-square norm, rotary positions.

import type { Tensor } from '../ir.ts';
import { applyOp } from '../node.ts';
import { frontAxis } from './axis.ts';

/** e^x over its sum along an axis. */
export function softmax(x: Tensor, axis = -1): Tensor {
  return applyOp('Softmax', [x], { axis: frontAxis(x, axis) })[0];
}

/** x / sqrt(mean(x^2) + epsilon) * gain over the last axis.
 *  x f32[..., H]   gain f32[H] */
export function rmsNorm(x: Tensor, gain: Tensor, epsilon: number): Tensor {
  const attributes = { axis: frontAxis(x, -1), epsilon, stash_type: 1 };
  return applyOp('SimplifiedLayerNormalization', [x, gain], attributes)[0];
}

/** sum = x + skip, and its rmsNorm, in one pass.
 *  x, skip f32[B, S, H] or f32[N, H]   gain f32[H] */
export function skipRmsNorm(
  x: Tensor,
  skip: Tensor,
  gain: Tensor,
  epsilon: number,
): { normed: Tensor; sum: Tensor } {
  const inputs = [x, skip, gain] as const;
  const [normed, sum] = applyOp('SkipSimplifiedLayerNormalization', inputs, { epsilon });
  return { normed, sum };
}

/** Turns the pairs of each head by its position: (i, i + D/2), or (2i, 2i + 1) when interleaved.
 *  x f32[B, S, heads*D] or f32[B, heads, S, D]   positions i64[B, S], or i64[1] of the first   cos, sin f32[P, D/2] */
export function rotaryEmbedding(
  x: Tensor,
  tables: {
    readonly positions: Tensor;
    readonly cos: Tensor;
    readonly sin: Tensor;
    readonly interleaved?: boolean;
  },
): Tensor {
  const { positions, cos, sin, interleaved = false } = tables;
  return applyOp('RotaryEmbedding', [x, positions, cos, sin], { interleaved })[0];
}
