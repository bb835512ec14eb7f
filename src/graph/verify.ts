import { type Dim, elementCount, sameShape } from './dim.ts';
import type { Graph } from './graph.ts';
import type { Node, Tensor } from './ir.ts';
import { inferTypes } from './node.ts';
import { formatType } from './shape-error.ts';

/** A graph breaks one of its own rules: an output that bears the name of an input, or a bug of the pass that made it. */
export class GraphError extends Error {
  override name = 'GraphError';
}

/** Checks every invariant of a graph; throws GraphError at the first that does not hold.
 *  1. Every tensor has a name, no two share one, and no name is empty.
 *  2. Inputs are inputs; initializers are weights or constants of a known shape.
 *  3. A node's inputs are leaves of the graph or outputs of nodes before it; a node stands once.
 *  4. Dtypes and shapes are those that the shape rules infer.
 *  5. Outputs are made by nodes and bear their own names.
 *  6. No custom gradients are left. */
export function verify(graph: Graph): void {
  verifyNames(graph);
  const defined = new Set<Tensor>();
  for (const leaf of graph.inputs) verifyLeaf(graph, leaf, ['input']);
  for (const leaf of graph.initializers) verifyLeaf(graph, leaf, ['weight', 'constant']);
  for (const leaf of [...graph.inputs, ...graph.initializers]) defined.add(leaf);
  for (const node of graph.nodes) {
    verifyNode(graph, node, defined);
    for (const output of node.outputs) defined.add(output);
  }
  for (const { name, tensor } of graph.outputs) {
    check(tensor.origin.kind === 'node' && defined.has(tensor), `no node makes output '${name}'`);
    check(graph.names.get(tensor) === name, `output '${name}' is named otherwise`);
  }
}

function check(holds: boolean, claim: string): asserts holds {
  if (!holds) throw new GraphError(claim);
}

function verifyNames({ names }: Graph): void {
  const seen = new Set<string>();
  for (const name of names.values()) {
    check(name !== '', 'a tensor has an empty name');
    check(!seen.has(name), `two tensors are named '${name}'`);
    seen.add(name);
  }
}

function verifyLeaf(graph: Graph, leaf: Tensor, kinds: readonly Tensor['origin']['kind'][]): void {
  const name = graph.names.get(leaf);
  check(name !== undefined, `a leaf (${leaf.origin.kind}) has no name`);
  check(kinds.includes(leaf.origin.kind), `'${name}' is no ${kinds.join(' or ')}`);
  if (leaf.origin.kind === 'input') return;
  const count = elementCount(leaf.shape);
  check(typeof count === 'number', `'${name}' has a symbolic shape ${formatType(leaf)}`);
  if (leaf.origin.kind !== 'constant') return;
  check(leaf.origin.data.length === count, `'${name}' does not hold ${count} elements`);
}

function verifyNode(graph: Graph, node: Node, defined: ReadonlySet<Tensor>): void {
  check(node.op !== 'CustomGradient', 'a custom gradient is left');
  for (const x of node.inputs) {
    check(
      x === null || defined.has(x),
      `an input of ${node.op} is not defined before it${x ? `: ${graph.names.get(x)}` : ''}`,
    );
  }
  node.outputs.forEach((output, at) => {
    check(graph.names.has(output), `output ${at} of ${node.op} has no name`);
    check(!defined.has(output), `'${graph.names.get(output)}' is made twice`);
  });
  verifyTypes(graph, node);
}

function verifyTypes(graph: Graph, node: Node): void {
  // The members of one node belong together, which TypeScript cannot see across the union.
  const inferred = inferTypes(node.op, node.inputs as never, node.attributes as never);
  check(inferred.length === node.outputs.length, `${node.op} has ${inferred.length} outputs`);
  node.outputs.forEach((output, at) => {
    const type = inferred[at];
    const isSame = type?.dtype === output.dtype && sameShape(type.shape, output.shape);
    check(
      isSame && sameContents(type.contents, output.contents),
      `'${graph.names.get(output)}' is ${formatType(output)}, but ${node.op} makes ${type && formatType(type)}`,
    );
  });
}

function sameContents(a?: readonly Dim[], b?: readonly Dim[]): boolean {
  return a === undefined || b === undefined ? a === b : sameShape(a, b);
}
