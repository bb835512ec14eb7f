import type { NodeOf, OpName, Ops, Tensor } from '../ir.ts';

/** How a node passes a gradient on. Given the node and one gradient per output, it returns one per input, or null where the
 *  derivative is zero (indices, conditions, shapes). A gradient may have the shape that its input was broadcast to: the caller
 *  sums it back. Nodes that no output needs cost nothing, so a rule builds the gradients of all inputs. */
type GradientRule<K extends OpName> =
  | ((node: NodeOf<K>, grads: Ops[K]['outputs']) => readonly (Tensor | null)[])
  | typeof NOT_DIFFERENTIABLE;

/** A gradient that reaches this operator stops with an error: wrap it in customGradient or stopGradient. */
export const NOT_DIFFERENTIABLE = 'not differentiable';

/** A gradient rule for every operator. */
export type GradientRules = { readonly [K in OpName]: GradientRule<K> };
