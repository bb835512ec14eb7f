import { must } from '../lib/errors.ts';
import type { Tensor, VectorJacobianProduct } from './ir.ts';
import { applyOp } from './node.ts';

/** Values computed by any operators, differentiated by a rule of their own.
 *  `vjp` is given one gradient per output (zeros where none arrives) and returns one per parent, or null for none. A returned
 *  gradient may be larger than its parent by broadcasting: it is summed back. Only what the parents name receives gradient. */
export function customGradient(rule: {
  readonly name: string;
  readonly outputs: readonly Tensor[];
  readonly parents: readonly Tensor[];
  readonly vjp: VectorJacobianProduct;
}): readonly Tensor[] {
  const { name, outputs, parents, vjp } = rule;
  const attributes = { name, outputCount: outputs.length, vjp };
  return applyOp('CustomGradient', [...outputs, ...parents], attributes);
}

/** The value of x, through which no gradient flows. */
export function stopGradient(x: Tensor): Tensor {
  const [stopped] = customGradient({
    name: 'stopGradient',
    outputs: [x],
    parents: [],
    vjp: () => [],
  });
  return must(stopped, 'one output in, one output out');
}
