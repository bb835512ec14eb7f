// Reverse-mode differentiation: the gradient of a graph is a graph. Nodes are walked from the loss back; each passes the
// gradients of its outputs on to its inputs by its row in the table of gradient rules.

import { elementCount, sameShape } from './dim.ts';
import { NOT_DIFFERENTIABLE } from './gradient-rules/rule.ts';
import { GRADIENT_RULES } from './gradient-rules.ts';
import type { Node, Tensor } from './ir.ts';
import { add } from './ops/elementwise.ts';
import { reduceSum } from './ops/reduce.ts';
import { zerosLike } from './ops/reshape.ts';
import { formatType } from './shape-error.ts';
import { constant, staticShape } from './tensor.ts';
import { topologyOf } from './topology.ts';

/** The derivative of `loss` with respect to each parameter, in the parameter's shape. A parameter may be any tensor that the loss
 *  is made of.
 *  Throws when the loss is no single f32, when it does not depend on a parameter, or when a gradient reaches an operator that has none. */
export function gradients(loss: Tensor, params: readonly Tensor[]): readonly Tensor[] {
  if (loss.dtype !== 'f32' || elementCount(loss.shape) !== 1) {
    throw new TypeError(`the loss must be one f32, but is ${formatType(loss)}`);
  }
  const { nodes } = topologyOf([loss]);
  const wanted = dependents(nodes, params);
  const totals = new Map<Tensor, Tensor>([[loss, constant('f32', staticShape(loss.shape), [1])]]);
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((y) => wanted.has(y) && totals.has(y))) continue;
    const passed = passOn(node, totals);
    node.inputs.forEach((x, at) => {
      const g = passed[at];
      if (!x || !g || !wanted.has(x)) return;
      const share = sumToShape(g, x, node);
      const total = totals.get(x);
      totals.set(x, total ? add(total, share) : share);
    });
  }
  return params.map((param, at) => {
    const g = wanted.has(loss) && totals.get(param);
    if (g) return g;
    throw new Error(`the loss does not depend on parameter ${at}, ${formatType(param)}`);
  });
}

/** The parameters and everything that a gradient can flow from to them. */
function dependents(nodes: readonly Node[], params: readonly Tensor[]): ReadonlySet<Tensor> {
  const found = new Set(params);
  for (const node of nodes) {
    const parents =
      node.op === 'CustomGradient' ? node.inputs.slice(node.attributes.outputCount) : node.inputs;
    if (!parents.some((x) => x && found.has(x))) continue;
    for (const y of node.outputs) found.add(y);
  }
  return found;
}

function passOn(node: Node, totals: ReadonlyMap<Tensor, Tensor>): readonly (Tensor | null)[] {
  const rule = GRADIENT_RULES[node.op];
  try {
    if (rule === NOT_DIFFERENTIABLE) throw new TypeError('the operator is not differentiable');
    // Outputs that the loss does not use have no gradient of their own; zeros that no rule uses are never computed.
    const grads = node.outputs.map((y) => totals.get(y) ?? zerosLike(y));
    // The rule is the node's own, which TypeScript cannot see across the union.
    return (rule as (node: Node, grads: readonly Tensor[]) => readonly (Tensor | null)[])(
      node,
      grads,
    );
  } catch (cause) {
    const given = node.inputs.map((x) => (x ? formatType(x) : 'none')).join(', ');
    const name = node.op === 'CustomGradient' ? node.attributes.name : node.op;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`gradient of ${name}(${given}): ${reason}`, { cause });
  }
}

/** Undoes broadcasting: sums a gradient over the axes along which `x` was repeated. */
function sumToShape(g: Tensor, x: Tensor, node: Node): Tensor {
  const added = g.shape.length - x.shape.length;
  const leading = Array.from({ length: Math.max(added, 0) }, (_, axis) => axis);
  const aligned = leading.length > 0 ? reduceSum(g, leading, { keepDims: false }) : g;
  const repeated = x.shape.flatMap((dim, axis) =>
    dim === 1 && aligned.shape[axis] !== 1 ? [axis] : [],
  );
  const summed = repeated.length > 0 ? reduceSum(aligned, repeated) : aligned;
  if (summed.dtype === x.dtype && sameShape(summed.shape, x.shape)) return summed;
  throw new Error(
    `gradient of ${node.op} for ${formatType(x)} is ${formatType(g)}, which does not sum to its shape`,
  );
}
