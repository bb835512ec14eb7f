import { sameShape } from './dim.ts';
import type { Node, Tensor } from './ir.ts';
import { reapply } from './node.ts';
import { identity } from './ops/elementwise.ts';
import { type Outputs, rewrite } from './rewrite.ts';
import { formatType } from './shape-error.ts';
import { topologyOf } from './topology.ts';

/** A tensor that a graph gives back. */
interface NamedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

/** A whole computation, ready to print, verify and encode. Nodes stand in an order in which they can run. */
export interface Graph {
  readonly name: string;
  /** Fed at each run, in order of first use. */
  readonly inputs: readonly Tensor[];
  /** Weights and constants. */
  readonly initializers: readonly Tensor[];
  readonly nodes: readonly Node[];
  readonly outputs: readonly NamedTensor[];
  /** One name for every tensor of the graph. */
  readonly names: ReadonlyMap<Tensor, string>;
}

/** Collects what the outputs need. Custom gradients have done their work and are dropped; equal leaves become one.
 *  Throws when two different inputs or weights share a name. */
export function buildGraph(name: string, outputs: Outputs): Graph {
  const leaf = leafSharer();
  const node = (from: Node, inputs: readonly (Tensor | null)[]): readonly Tensor[] =>
    from.op === 'CustomGradient'
      ? inputs.slice(0, from.attributes.outputCount).filter((x) => x !== null)
      : reapply(from, inputs);
  return assemble(name, rewrite(outputs, { leaf, node }));
}

/** Orders and names what the outputs need, changing nothing else. */
export function assemble(name: string, outputs: Outputs): Graph {
  const named = nameableOutputs(outputs);
  const { leaves, nodes } = topologyOf(named.map(({ tensor }) => tensor));
  return Object.freeze({
    name,
    inputs: leaves.filter(({ origin }) => origin.kind === 'input'),
    initializers: leaves.filter(({ origin }) => origin.kind !== 'input'),
    nodes,
    outputs: named,
    names: nameTensors(leaves, nodes, named),
  });
}

/** ONNX names an output after the node that makes it, so a leaf, or a tensor with two names, needs a node of its own. */
function nameableOutputs(outputs: Outputs): readonly NamedTensor[] {
  const taken = new Set<Tensor>();
  return Object.entries(outputs).map(([name, tensor]) => {
    const isFree = tensor.origin.kind === 'node' && !taken.has(tensor);
    taken.add(tensor);
    return { name, tensor: isFree ? tensor : identity(tensor) };
  });
}

function nameTensors(
  leaves: readonly Tensor[],
  nodes: readonly Node[],
  outputs: readonly NamedTensor[],
): ReadonlyMap<Tensor, string> {
  const names = new Map<Tensor, string>();
  let constants = 0;
  for (const leaf of leaves) {
    names.set(leaf, 'name' in leaf.origin ? leaf.origin.name : `constant_${constants++}`);
  }
  nodes.forEach((node, at) => {
    node.outputs.forEach((tensor, index) => {
      names.set(tensor, index === 0 ? `${node.op}_${at}` : `${node.op}_${at}.${index}`);
    });
  });
  for (const { name, tensor } of outputs) names.set(tensor, name);
  return names;
}

/** Maps equal leaves to the first of them. */
function leafSharer(): (leaf: Tensor) => Tensor {
  const byKey = new Map<string, Tensor>();
  return (leaf) => {
    const key = leafKey(leaf);
    if (key === null) return leaf;
    const first = byKey.get(key) ?? leaf;
    byKey.set(key, first);
    if (!sameLeaf(first, leaf)) {
      throw new Error(
        `two different ${key} in one graph: ${formatType(first)} and ${formatType(leaf)}; give each its own name`,
      );
    }
    return first;
  };
}

// Larger constants are compared by nobody: whoever makes one twice pays for it twice.
const MAX_SHARED_BYTES = 512;

function leafKey({ origin, dtype, shape }: Tensor): string | null {
  if (origin.kind !== 'constant')
    return 'name' in origin ? `${origin.kind} '${origin.name}'` : null;
  const { buffer, byteOffset, byteLength } = origin.data;
  if (byteLength > MAX_SHARED_BYTES) return null;
  return `constant ${dtype}${shape} ${new Uint8Array(buffer, byteOffset, byteLength)}`;
}

function sameLeaf(a: Tensor, b: Tensor): boolean {
  if (a.dtype !== b.dtype || !sameShape(a.shape, b.shape)) return false;
  if (a.origin.kind !== 'weight' || b.origin.kind !== 'weight') return true;
  return a.origin.file === b.origin.file && a.origin.byteOffset === b.origin.byteOffset;
}
