import {
  addDims,
  type Dim,
  divideDims,
  elementCount,
  formatShape,
  type Shape,
  sameShape,
} from '../dim.ts';
import type { Tensor, TensorType } from '../ir.ts';
import {
  broadcastShapes,
  dimAt,
  reject,
  requireAxes,
  requireContents,
  requireSameDType,
} from './require.ts';
import type { ShapeRules } from './rule.ts';

/** The shape that ONNX's Reshape makes: 0 copies the dimension at its place, one -1 takes what is left. */
function reshapedShape(x: Shape, target: readonly Dim[]): Shape {
  const copied = target.map((dim, axis) => (dim === 0 ? dimAt(x, axis) : dim));
  const known = copied.filter((dim) => dim !== -1);
  if (copied.length - known.length > 1) reject(`${formatShape(target)} has more than one -1`);
  const rest = divideDims(elementCount(x), elementCount(known));
  if (rest === null || (known.length === copied.length && rest !== 1)) {
    reject(`${formatShape(target)} does not hold the same number of elements`);
  }
  return copied.map((dim) => (dim === -1 ? rest : dim));
}

function concatenated(inputs: readonly Tensor[], axis: number): TensorType {
  const [first, ...rest] = inputs;
  if (first === undefined) reject('needs at least one tensor');
  let length = dimAt(first.shape, axis);
  for (const x of rest) {
    requireSameDType(first, x);
    const aligned = x.shape.map((dim, at) => (at === axis ? (first.shape[at] ?? dim) : dim));
    if (!sameShape(aligned, first.shape)) reject(`shapes differ outside of axis ${axis}`);
    length = addDims(length, dimAt(x.shape, axis));
  }
  const contents = inputs.flatMap((x) => x.contents ?? []);
  return {
    dtype: first.dtype,
    shape: first.shape.map((dim, at) => (at === axis ? length : dim)),
    ...(contents.length === length && { contents }),
  };
}

/** Shape rules of the operators that move elements without looking at them. */
export const RESHAPE_SHAPES = {
  Reshape: ([x, shape]) => [
    { dtype: x.dtype, shape: reshapedShape(x.shape, requireContents(shape, 'shape')) },
  ],
  Expand: ([x, shape]) => [
    { dtype: x.dtype, shape: broadcastShapes(x.shape, requireContents(shape, 'shape')) },
  ],
  Transpose: ([x], { perm }) => {
    if (
      [...perm].sort((a, b) => a - b).some((axis, at) => axis !== at) ||
      perm.length !== x.shape.length
    ) {
      reject(`perm ${formatShape(perm)} is no permutation of the axes`);
    }
    return [{ dtype: x.dtype, shape: perm.map((axis) => dimAt(x.shape, axis)) }];
  },
  Concat: (inputs, { axis }) => [concatenated(inputs, axis)],
  Split: ([x, sizes], { axis }) => {
    const parts = requireContents(sizes, 'sizes');
    const total = parts.reduce(addDims, 0);
    if (total !== dimAt(x.shape, axis)) {
      reject(`sizes ${formatShape(parts)} add up to ${total}, not to dimension ${x.shape[axis]}`);
    }
    return parts.map((size) => ({
      dtype: x.dtype,
      shape: x.shape.map((dim, at) => (at === axis ? size : dim)),
    }));
  },
  Slice: ([x, starts, ends, axes]) => {
    const [axis, ...others] = requireAxes(axes, x.shape.length);
    const [start] = requireContents(starts, 'starts');
    const [end] = requireContents(ends, 'ends');
    if (axis === undefined || others.length > 0) reject('slices one axis');
    const dim = dimAt(x.shape, axis);
    if (typeof dim !== 'number' || typeof start !== 'number' || typeof end !== 'number') {
      reject(`axis ${axis} must have a known length`);
    }
    if (start < 0 || end > dim || start >= end)
      reject(`[${start}, ${end}) is outside of [0, ${dim})`);
    return [{ dtype: x.dtype, shape: x.shape.with(axis, end - start) }];
  },
  Squeeze: ([x, axes]) => {
    const dropped = requireAxes(axes, x.shape.length);
    for (const axis of dropped) {
      if (x.shape[axis] !== 1) reject(`dimension ${x.shape[axis]} at axis ${axis} is not 1`);
    }
    return [{ dtype: x.dtype, shape: x.shape.filter((_, axis) => !dropped.includes(axis)) }];
  },
  Unsqueeze: ([x, axes]) => {
    const rank = x.shape.length + (requireContents(axes, 'axes').length ?? 0);
    const added = requireAxes(axes, rank);
    const kept = x.shape.values();
    const shape = Array.from({ length: rank }, (_, axis) =>
      added.includes(axis) ? 1 : (kept.next().value ?? reject('axes leave no room for the input')),
    );
    return [{ dtype: x.dtype, shape }];
  },
  Shape: ([x], { start, end }) => {
    const contents = x.shape.slice(start, end);
    return [{ dtype: 'i64', shape: [contents.length], contents }];
  },
  ConstantOfShape: ([shape], { dtype }) => [{ dtype, shape: requireContents(shape, 'shape') }],
} satisfies Partial<ShapeRules>;
