import { must } from '../../lib/errors.ts';
import type { Tensor } from '../ir.ts';
import { concat, full, reshapeLike, sizeOf, split, transpose } from '../ops/reshape.ts';
import { i64 } from '../tensor.ts';
import { type GradientRules, NOT_DIFFERENTIABLE } from './rule.ts';

/** Zeros like x, but of another size along one axis. */
function zerosAlong(x: Tensor, axis: number, size: number): Tensor {
  const dims = x.shape.map((dim, at) => {
    if (at === axis) return i64([size]);
    return typeof dim === 'number' ? i64([dim]) : sizeOf(x, at);
  });
  return full(concat(dims, 0), 0, x.dtype);
}

/** The sizes of tensors along an axis, where some may be symbolic. */
function sizesAlong(xs: readonly Tensor[], axis: number): readonly number[] | Tensor {
  const dims = xs.map((x) => x.shape[axis]).filter((dim) => typeof dim === 'number');
  return dims.length === xs.length
    ? dims
    : concat(
        xs.map((x) => sizeOf(x, axis)),
        0,
      );
}

/** Gradient rules of the operators that move elements without looking at them. */
export const RESHAPE_GRADIENTS = {
  Reshape: ({ inputs: [x] }, [g]) => [reshapeLike(g, x), null],
  // The caller sums over what was repeated.
  Expand: (_, [g]) => [g, null],
  Transpose: ({ attributes: { perm } }, [g]) => [
    transpose(
      g,
      perm.map((_, axis) => perm.indexOf(axis)),
    ),
  ],
  Concat: ({ inputs, attributes: { axis } }, [g]) => split(g, sizesAlong(inputs, axis), axis),
  Split: ({ attributes: { axis } }, grads) => [concat(grads, axis), null],
  Slice: ({ inputs: [x, starts, , axes], outputs: [y] }, [g]) => {
    const [start, axis] = [starts, axes].map((t) => Number(must(t.contents?.[0], 'known slice')));
    const at = must(axis, 'one axis');
    const before = must(start, 'one start');
    const after = Number(x.shape[at]) - before - Number(y.shape[at]);
    const parts = [
      ...(before > 0 ? [zerosAlong(g, at, before)] : []),
      g,
      ...(after > 0 ? [zerosAlong(g, at, after)] : []),
    ];
    return [concat(parts, at), null, null, null];
  },
  Squeeze: ({ inputs: [x] }, [g]) => [reshapeLike(g, x), null],
  Unsqueeze: ({ inputs: [x] }, [g]) => [reshapeLike(g, x), null],
  Shape: NOT_DIFFERENTIABLE,
  ConstantOfShape: NOT_DIFFERENTIABLE,
} satisfies Partial<GradientRules>;
