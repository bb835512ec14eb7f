import { assemble, type Graph } from './graph.ts';
import type { Node, Tensor } from './ir.ts';
import { reapply } from './node.ts';
import { rewrite } from './rewrite.ts';

/** The same graph with every repeated computation done once. */
export function shareSubexpressions(graph: Graph): Graph {
  const outputs = Object.fromEntries(graph.outputs.map(({ name, tensor }) => [name, tensor]));
  return assemble(graph.name, rewrite(outputs, { leaf: (leaf) => leaf, node: nodeSharer() }));
}

/** Maps nodes of one operator on the same inputs with equal attributes to the first of them. */
function nodeSharer(): (node: Node, inputs: readonly (Tensor | null)[]) => readonly Tensor[] {
  const ids = new Map<Tensor | null, number>();
  const idOf = (tensor: Tensor | null): number => {
    const id = ids.get(tensor) ?? ids.size;
    ids.set(tensor, id);
    return id;
  };
  const outputsByKey = new Map<string, readonly Tensor[]>();
  return (node, inputs) => {
    const key = `${node.op} ${inputs.map(idOf)} ${JSON.stringify(node.attributes)}`;
    const outputs = outputsByKey.get(key) ?? reapply(node, inputs);
    outputsByKey.set(key, outputs);
    return outputs;
  };
}
