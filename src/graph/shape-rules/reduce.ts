import type { Shape } from '../dim.ts';
import type { Ops, TensorType } from '../ir.ts';
import { dimAt, reject, requireAxes, requireContents, requireDType } from './require.ts';
import type { ShapeRules } from './rule.ts';

function reducedShape(x: Shape, axes: readonly number[], keepdims: boolean): Shape {
  if (keepdims) return x.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
  return x.filter((_, axis) => !axes.includes(axis));
}

const reduction = (
  [x, axes]: Ops['ReduceSum']['inputs'],
  { keepdims }: Ops['ReduceSum']['attributes'],
): readonly TensorType[] => {
  requireDType(x, 'x', ['f32', 'i32', 'i64']);
  const reduced = requireAxes(axes, x.shape.length);
  // An empty list would mean "all axes" to ONNX.
  if (reduced.length === 0) reject('axes must name at least one axis');
  return [{ dtype: x.dtype, shape: reducedShape(x.shape, reduced, keepdims) }];
};

/** Shape rules of reductions. */
export const REDUCE_SHAPES = {
  ReduceSum: reduction,
  ReduceMean: reduction,
  ReduceMax: reduction,
  ArgMax: ([x], { axis, keepdims }) => {
    dimAt(x.shape, axis);
    return [{ dtype: 'i64', shape: reducedShape(x.shape, [axis], keepdims) }];
  },
  TopK: ([x, k], { axis }) => {
    const [count] = requireContents(k, 'k');
    if (count === undefined || k.shape.length !== 1) reject('k must be i64[1]');
    dimAt(x.shape, axis);
    const shape = x.shape.with(axis, count);
    return [
      { dtype: x.dtype, shape },
      { dtype: 'i64', shape },
    ];
  },
} satisfies Partial<ShapeRules>;
