import { must } from '../lib/errors.ts';
import { formatShape } from './dim.ts';
import type { Graph } from './graph.ts';
import type { Node, Tensor } from './ir.ts';
import { formatType } from './shape-error.ts';

/** The graph as text, a line per input, weight, large constant, node and output; small constants stand where they are used.
 *  Equal graphs print alike. */
export function printGraph(graph: Graph): string {
  const leaves = [...graph.inputs, ...graph.initializers].filter((leaf) => !isSmall(leaf));
  const lines = [
    `graph ${graph.name}`,
    ...leaves.map((leaf) => leafLine(graph, leaf)),
    ...graph.nodes.map((node) => nodeLine(graph, node)),
    ...graph.outputs.map(({ name, tensor }) => `output ${name}: ${formatType(tensor)}`),
  ];
  return `${lines.join('\n')}\n`;
}

const MAX_INLINE = 8;

const isSmall = ({ origin }: Tensor): boolean =>
  origin.kind === 'constant' && origin.data.length <= MAX_INLINE;

const nameOf = (graph: Graph, tensor: Tensor): string =>
  must(graph.names.get(tensor), 'every tensor of a graph has a name');

function leafLine(graph: Graph, leaf: Tensor): string {
  const { origin } = leaf;
  const head = `${origin.kind} ${nameOf(graph, leaf)}: ${formatType(leaf)}`;
  return origin.kind === 'weight' ? `${head} = ${origin.file} at ${origin.byteOffset}` : head;
}

function nodeLine(graph: Graph, node: Node): string {
  const outputs = node.outputs.map((y) => `${nameOf(graph, y)}: ${formatType(y)}`).join(', ');
  const inputs = node.inputs.map((x) => (x ? operand(graph, x) : 'none')).join(', ');
  const attributes = Object.entries(node.attributes)
    .map(([name, value]) => `${name}=${Array.isArray(value) ? formatShape(value) : value}`)
    .join(' ');
  return `${outputs} = ${node.op}(${inputs})${attributes && ` ${attributes}`}`;
}

function operand(graph: Graph, x: Tensor): string {
  if (x.origin.kind !== 'constant' || !isSmall(x)) return nameOf(graph, x);
  const elements = Array.from(x.origin.data, String).join(', ');
  if (x.dtype === 'i64') return `[${elements}]`;
  return x.shape.length === 0 ? `${x.dtype} ${elements}` : `${formatType(x)} ${elements}`;
}
