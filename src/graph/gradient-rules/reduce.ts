import { elementCount } from '../dim.ts';
import type { NodeOf, Tensor } from '../ir.ts';
import { dimsVector } from '../ops/dims.ts';
import { cast, div, equal, mul, type Operand } from '../ops/elementwise.ts';
import { scatterElements } from '../ops/gather.ts';
import { reduceSum } from '../ops/reduce.ts';
import { expandLike, reshape, unsqueeze, zerosLike } from '../ops/reshape.ts';
import { i64 } from '../tensor.ts';
import { type GradientRules, NOT_DIFFERENTIABLE } from './rule.ts';

type Reduction = NodeOf<'ReduceSum'> | NodeOf<'ReduceMean'> | NodeOf<'ReduceMax'>;

/** The axes that a node reduces; the shape rule has checked that they are known. */
const reducedAxes = ({ inputs: [, axes] }: Reduction): readonly number[] =>
  (axes.contents ?? []).map(Number);

/** A result, or its gradient, with the reduced axes back in place. */
const withAxes = (node: Reduction, reduced: Tensor): Tensor =>
  node.attributes.keepdims ? reduced : unsqueeze(reduced, reducedAxes(node));

/** How many elements each result is made of. */
function reducedCount(node: Reduction): Operand {
  const [x] = node.inputs;
  const axes = reducedAxes(node);
  const count = elementCount(axes.map((axis) => x.shape[axis] ?? 1));
  if (typeof count === 'number') return count;
  return cast(reshape(dimsVector([count], x), i64([])), x.dtype);
}

/** Gradient rules of reductions. */
export const REDUCE_GRADIENTS = {
  ReduceSum: (node, [g]) => [expandLike(withAxes(node, g), node.inputs[0]), null],
  ReduceMean: (node, [g]) => [
    expandLike(div(withAxes(node, g), reducedCount(node)), node.inputs[0]),
    null,
  ],
  // Elements that share the maximum share its gradient.
  ReduceMax: (node, [g]) => {
    const [x] = node.inputs;
    const isMax = cast(equal(x, withAxes(node, node.outputs[0])), x.dtype);
    const share = div(withAxes(node, g), reduceSum(isMax, reducedAxes(node)));
    return [mul(isMax, share), null];
  },
  ArgMax: NOT_DIFFERENTIABLE,
  TopK: ({ inputs: [x], attributes: { axis }, outputs: [, indices] }, [g]) => [
    scatterElements(zerosLike(x), indices, g, { axis, reduction: 'add' }),
    null,
  ],
} satisfies Partial<GradientRules>;
