import { describe, expect, it } from 'vitest';
import { customGradient } from '../../src/graph/custom-gradient.ts';
import { assemble, buildGraph, type Graph } from '../../src/graph/graph.ts';
import type { Node, Tensor } from '../../src/graph/ir.ts';
import { add, exp } from '../../src/graph/ops/elementwise.ts';
import { f32, input, weight } from '../../src/graph/tensor.ts';
import { GraphError, verify } from '../../src/graph/verify.ts';
import { must } from '../../src/lib/errors.ts';

const x = input('x', 'f32', ['B', 2]);
const w = weight('w', 'f32', [2], { file: 'w.bin', byteOffset: 0 });
const graph = buildGraph('g', { y: exp(add(add(x, w), f32([2], [1, 2]))) });
const [first, second, third] = graph.nodes;
const nodes = [first, second, third].map((node) => must(node, 'three nodes'));
const [sum] = nodes.map(({ outputs }) => must(outputs[0], 'an output'));
const bias = must(graph.initializers[1], 'a constant');

const renamed = (tensor: Tensor | undefined, name: string): ReadonlyMap<Tensor, string> =>
  new Map(graph.names).set(must(tensor, 'a tensor'), name);
const without = (tensor: Tensor | undefined): ReadonlyMap<Tensor, string> =>
  new Map([...graph.names].filter(([key]) => key !== tensor));

/** The graph with its first node changed, and every name moved to the changed tensors. */
function withFirst(change: Partial<Tensor>): Graph {
  const node = must(nodes[0], 'a node');
  const output = { ...must(node.outputs[0], 'an output'), ...change };
  const changed = { ...node, outputs: [output] } as unknown as Node;
  return {
    ...graph,
    nodes: [changed, ...nodes.slice(1)],
    names: new Map(graph.names).set(output, 'changed'),
  };
}

const BROKEN: readonly (readonly [what: string, broken: Graph, message: string])[] = [
  ['two tensors of one name', { ...graph, names: renamed(sum, 'x') }, "two tensors are named 'x'"],
  ['an empty name', { ...graph, names: renamed(sum, '') }, 'a tensor has an empty name'],
  ['an input without a name', { ...graph, names: without(x) }, 'a leaf (input) has no name'],
  ['a result without a name', { ...graph, names: without(sum) }, 'output 0 of Add has no name'],
  [
    'a node before its inputs',
    { ...graph, nodes: nodes.toReversed() },
    'an input of Exp is not defined before it: Add_1',
  ],
  ['a node twice', { ...graph, nodes: [...nodes, ...nodes.slice(-1)] }, "'y' is made twice"],
  [
    'a missing node',
    { ...graph, nodes: nodes.slice(1) },
    'an input of Add is not defined before it: Add_0',
  ],
  ['an undeclared input', { ...graph, inputs: [] }, 'an input of Add is not defined before it: x'],
  [
    'an undeclared weight',
    { ...graph, initializers: [bias] },
    'an input of Add is not defined before it: w',
  ],
  ['a weight among the inputs', { ...graph, inputs: [x, w] }, "'w' is no input"],
  ['an input among the weights', { ...graph, initializers: [x] }, "'x' is no weight or constant"],
  [
    'another shape than inferred',
    withFirst({ shape: ['B', 3] }),
    "'changed' is f32[B, 3], but Add makes f32[B, 2]",
  ],
  [
    'another element type than inferred',
    withFirst({ dtype: 'f16' }),
    "'changed' is f16[B, 2], but Add makes f32[B, 2]",
  ],
  [
    'contents that are not inferred',
    withFirst({ contents: [2] }),
    "'changed' is f32[B, 2], but Add makes f32[B, 2]",
  ],
  [
    'an output that nothing makes',
    { ...graph, nodes: nodes.slice(0, 2) },
    "no node makes output 'y'",
  ],
  [
    'an output that is an input',
    { ...graph, outputs: [{ name: 'x', tensor: x }] },
    "no node makes output 'x'",
  ],
  [
    'an output of another name',
    { ...graph, outputs: graph.outputs.map((o) => ({ ...o, name: 'z' })) },
    "output 'z' is named otherwise",
  ],
  [
    'a custom gradient',
    assemble('g', {
      y: must(
        customGradient({ name: 'c', outputs: [exp(x)], parents: [x], vjp: (g) => g })[0],
        'one',
      ),
    }),
    'a custom gradient is left',
  ],
];

describe('verify', () => {
  it('accepts a graph as built', () => {
    expect(() => verify(graph)).not.toThrow();
  });

  it.each(BROKEN)('finds %s', (_, broken, message) => {
    expect(() => verify(broken)).toThrow(GraphError);
    expect(() => verify(broken)).toThrow(message);
  });

  it('finds a constant that does not fill its shape, and a leaf of unknown shape', () => {
    const short = { ...bias, shape: [3] };
    const symbolic = { ...w, shape: ['B'] };
    const leaves = (leaf: Tensor): Graph => ({
      ...graph,
      initializers: [leaf],
      names: new Map([...graph.names, [leaf, 'leaf']]),
    });
    expect(() => verify(leaves(short))).toThrow("'leaf' does not hold 3 elements");
    expect(() => verify(leaves(symbolic))).toThrow("'leaf' has a symbolic shape f32[B]");
  });
});
