import type { Shape } from '../dim.ts';
import {
  dimAt,
  reject,
  requireDType,
  requireFloat,
  requireSameDType,
  requireShape,
} from './require.ts';
import type { ShapeRules } from './rule.ts';

/** Shape rules of the operators that work on whole rows. */
export const NORMALISE_SHAPES = {
  Softmax: ([x], { axis }) => {
    requireFloat(x, 'x');
    dimAt(x.shape, axis);
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  SimplifiedLayerNormalization: ([x, gain], { axis }) => {
    requireFloat(x, 'x');
    requireSameDType(x, gain);
    requireShape(gain, 'gain', x.shape.slice(axis));
    const ones = x.shape.slice(axis).map(() => 1);
    return [
      { dtype: x.dtype, shape: x.shape },
      { dtype: 'f32', shape: [...x.shape.slice(0, axis), ...ones] },
    ];
  },
  SkipSimplifiedLayerNormalization: ([x, skip, gain]) => {
    requireFloat(x, 'x');
    requireSameDType(x, skip);
    requireSameDType(x, gain);
    if (x.shape.length !== 3 && x.shape.length !== 2) reject('x must have 2 or 3 dimensions');
    requireShape(skip, 'skip', x.shape);
    requireShape(gain, 'gain', x.shape.slice(-1));
    const type = { dtype: x.dtype, shape: x.shape };
    return [type, type];
  },
  RotaryEmbedding: ([x, positions, cos, sin]) => {
    requireFloat(x, 'x');
    requireSameDType(x, cos);
    requireSameDType(x, sin);
    requireDType(positions, 'positions', ['i64']);
    const [B, S] = x.shape.length === 4 ? [x.shape[0], x.shape[2]] : x.shape;
    if (B === undefined || S === undefined || x.shape.length < 3) {
      reject('x must be [B, S, heads*D] or [B, heads, S, D]');
    }
    if (positions.shape.length > 1) requireShape(positions, 'positions', [B, S]);
    else requireShape(positions, 'positions', [1]);
    requireShape(sin, 'sin', cos.shape);
    requireHeads(x.shape, dimAt(cos.shape, 1));
    return [{ dtype: x.dtype, shape: x.shape }];
  },
} satisfies Partial<ShapeRules>;

/** The last dimension of x must be whole heads, each twice as wide as a row of the cos table. */
function requireHeads(x: Shape, half: Shape[number]): void {
  const width = x.at(-1);
  if (typeof width !== 'number' || typeof half !== 'number') reject('head size must be known');
  const fits = x.length === 4 ? width === 2 * half : width % (2 * half) === 0;
  if (!fits) reject(`the last dimension ${width} is not made of heads of ${2 * half}`);
}
