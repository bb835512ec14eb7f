import type { Node, Tensor } from './ir.ts';

/** Leaves and nodes that tensors are made of, each once, producers before consumers. The order depends on the graph alone. */
export interface Topology {
  readonly leaves: readonly Tensor[];
  readonly nodes: readonly Node[];
}

/** Everything that `outputs` are made of, found depth first from the first output's first input. */
export function topologyOf(outputs: readonly Tensor[]): Topology {
  const leaves = new Set<Tensor>();
  const nodes = new Set<Node>();
  // A stack of its own: a deep model would overflow the call stack. A node is left after its inputs.
  const stack: { readonly tensor: Tensor; readonly leaving: boolean }[] = [];
  const entered = new Set<Node>();
  const push = (tensors: readonly (Tensor | null)[]): void => {
    for (const tensor of tensors.toReversed()) if (tensor) stack.push({ tensor, leaving: false });
  };
  push(outputs);
  for (let step = stack.pop(); step; step = stack.pop()) {
    const { origin } = step.tensor;
    if (origin.kind !== 'node') leaves.add(step.tensor);
    else if (step.leaving) nodes.add(origin.node);
    else if (!entered.has(origin.node)) {
      entered.add(origin.node);
      stack.push({ tensor: step.tensor, leaving: true });
      push(origin.node.inputs);
    }
  }
  return { leaves: [...leaves], nodes: [...nodes] };
}
