import { must } from '../lib/errors.ts';
import type { Node, Tensor } from './ir.ts';
import { topologyOf } from './topology.ts';

/** The tensors that a graph gives back, by name. */
export type Outputs = Readonly<Record<string, Tensor>>;

/** What becomes of each leaf and node, producers first. A node is given its inputs as already rewritten. */
export interface Rewriter {
  readonly leaf: (leaf: Tensor) => Tensor;
  readonly node: (node: Node, inputs: readonly (Tensor | null)[]) => readonly Tensor[];
}

/** Rebuilds everything the outputs are made of. What no output needs any more is gone, as nothing refers to it. */
export function rewrite(outputs: Outputs, { leaf, node: visit }: Rewriter): Outputs {
  const { leaves, nodes } = topologyOf(Object.values(outputs));
  const rewritten = new Map(leaves.map((tensor) => [tensor, leaf(tensor)]));
  const find = (tensor: Tensor): Tensor => must(rewritten.get(tensor), 'producers come first');
  for (const node of nodes) {
    const replacements = visit(
      node,
      node.inputs.map((x) => x && find(x)),
    );
    node.outputs.forEach((tensor, at) => {
      rewritten.set(tensor, must(replacements[at], `a replacement for every output of ${node.op}`));
    });
  }
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, find(tensor)]));
}
