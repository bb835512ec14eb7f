// A graph in, the bytes of an ONNX file out. Weights stay in their own files.

import { must } from '../../lib/errors.ts';
import type { Shape } from '../dim.ts';
import { DTYPES, type DType } from '../dtype.ts';
import type { Graph } from '../graph.ts';
import type { Node, NodeOf, Tensor } from '../ir.ts';
import { topologyOf } from '../topology.ts';
import { verify } from '../verify.ts';
import { ENCODINGS, type EncodableOp } from './encodings.ts';
import { ifProto } from './if-node.ts';
import {
  type AttributeProto,
  type GraphProto,
  modelBytes,
  type NodeProto,
  type ValueInfoProto,
} from './proto.ts';
import { constantProto } from './tensor-proto.ts';

// The newest versions that both onnxruntime 1.30 and onnxruntime-web read, and the oldest with blockwise QuantizeLinear.
const IR_VERSION = 10;
const OPSET_IMPORT = [
  { domain: '', version: 21 },
  { domain: 'com.microsoft', version: 1 },
];

/** Outputs that are computed in some runs only. */
export interface OnDemand {
  /** Name of a further input of the model, bool[]: whether they are computed. Where not, they have no elements. */
  readonly condition: string;
  readonly outputs: readonly string[];
}

/** The ONNX file of a graph, verified first. `onDemand`: what only these outputs need costs nothing where they are not asked for. */
export function encodeOnnx(graph: Graph, onDemand?: OnDemand): Uint8Array {
  verify(graph);
  return modelBytes({
    irVersion: IR_VERSION,
    producerName: 'attune',
    opsetImport: OPSET_IMPORT,
    graph: {
      name: graph.name,
      initializer: graph.initializers.map((tensor) => ({
        ...constantProto(tensor),
        name: nameOf(graph, tensor),
      })),
      ...(onDemand === undefined ? bodyOf(graph) : branchedBody(graph, onDemand)),
    },
  });
}

type Body = Omit<GraphProto, 'name' | 'initializer'>;

/** Nodes of the graph (all of them), and which of its outputs they make. */
function bodyOf(graph: Graph, { nodes, outputs }: Pick<Graph, 'nodes' | 'outputs'> = graph): Body {
  const used = usedTensors(graph);
  const info = (tensor: Tensor) => valueInfo(nameOf(graph, tensor), tensor);
  return {
    node: nodes.map((node) => nodeProto(graph, node, used)),
    input: graph.inputs.map(info),
    output: outputs.map(({ tensor }) => info(tensor)),
    valueInfo: inner(graph, nodes, used).map(info),
  };
}

/** What only the outputs on demand need stands in a branch of an `If`, which reads what was made before it. */
function branchedBody(graph: Graph, { condition, outputs: wanted }: OnDemand): Body {
  const demanded = graph.outputs.filter(({ name }) => wanted.includes(name));
  const outputs = graph.outputs.filter(({ name }) => !wanted.includes(name));
  const always = new Set(topologyOf(outputs.map(({ tensor }) => tensor)).nodes);
  const before = graph.nodes.filter((node) => always.has(node));
  const within = graph.nodes.filter((node) => !always.has(node));
  // no value within a branch may have the name of one outside
  const renamed = demanded.map(({ name, tensor }) => [tensor, `${name}.computed`] as const);
  const named = { ...graph, names: new Map([...graph.names, ...renamed]) };
  const body = bodyOf(graph, { nodes: before, outputs });
  const branch = { ...bodyOf(named, { nodes: within, outputs: demanded }), input: [] };
  const given = demanded.map(({ name, tensor: { dtype, shape } }) =>
    valueInfo(name, { dtype, shape: shape.map((_, axis) => `${name}.${axis}`) }),
  );
  return {
    ...body,
    node: [...body.node, ifProto(condition, branch, given)],
    input: [...body.input, valueInfo(condition, { dtype: 'bool', shape: [] })],
    output: [...body.output, ...given],
  };
}

const nameOf = (graph: Graph, tensor: Tensor): string =>
  must(graph.names.get(tensor), 'every tensor of a graph has a name');

/** What nodes hand to each other. onnxruntime cannot infer most symbolic shapes itself, and where it knows none it reuses no
 *  memory and takes a time quadratic in the nodes to find that out: 4.2 s instead of 0.3 s for a training step. */
function inner(
  graph: Graph,
  nodes: readonly Node[],
  used: ReadonlySet<Tensor | null>,
): readonly Tensor[] {
  const outputs = new Set(graph.outputs.map(({ tensor }) => tensor));
  const made: readonly Tensor[] = nodes.flatMap((node) => node.outputs);
  return made.filter((tensor) => used.has(tensor) && !outputs.has(tensor));
}

function usedTensors(graph: Graph): ReadonlySet<Tensor | null> {
  const used = new Set<Tensor | null>(graph.outputs.map(({ tensor }) => tensor));
  for (const { inputs } of graph.nodes) for (const x of inputs) used.add(x);
  return used;
}

function nodeProto(graph: Graph, node: Node, used: ReadonlySet<Tensor | null>): NodeProto {
  if (node.op === 'CustomGradient') throw new Error('a built graph holds no custom gradients');
  const { domain, outputPlaces } = ENCODINGS[node.op];
  const output: string[] = [];
  node.outputs.forEach((tensor, at) => {
    if (outputPlaces && at > 0 && !used.has(tensor)) return;
    output[outputPlaces?.[at] ?? at] = nameOf(graph, tensor);
  });
  const [first] = node.outputs;
  return {
    name: nameOf(graph, must(first, 'every node has an output')),
    opType: node.op,
    domain,
    input: node.inputs.map((x) => (x ? nameOf(graph, x) : '')),
    output: Array.from(output, (name) => name ?? ''),
    attribute: attributeProtos(node),
  };
}

function attributeProtos<K extends EncodableOp>(node: NodeOf<K>): readonly AttributeProto[] {
  const encoders = ENCODINGS[node.op].attributes;
  const protos: AttributeProto[] = [];
  for (const name in encoders) {
    const proto = encoders[name]?.(name, node.attributes[name], node.attributes);
    if (proto) protos.push(proto);
  }
  return protos;
}

function valueInfo(
  name: string,
  { dtype, shape }: { readonly dtype: DType; readonly shape: Shape },
): ValueInfoProto {
  const dim = shape.map((size) =>
    typeof size === 'number' ? { dimValue: size } : { dimParam: size },
  );
  return { name, type: { tensorType: { elemType: DTYPES[dtype].onnxCode, shape: { dim } } } };
}
