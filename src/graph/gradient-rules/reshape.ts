import { must } from '../../lib/errors.ts';
import type { Tensor } from '../ir.ts';
import { dimsVector } from '../ops/dims.ts';
import { concat, full, reshapeLike, split, transpose } from '../ops/reshape.ts';
import { type GradientRules, NOT_DIFFERENTIABLE } from './rule.ts';

/** Zeros like x, but of another size along one axis. */
const zerosAlong = (x: Tensor, axis: number, size: number): Tensor =>
  full(dimsVector(x.shape.with(axis, size), x), 0, x.dtype);

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
  Concat: ({ inputs, attributes: { axis } }, [g]) => {
    const sizes = inputs.map((x) => must(x.shape[axis], 'the axis joined'));
    return split(g, sizes, axis);
  },
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
