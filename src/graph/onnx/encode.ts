// A graph in, the bytes of an ONNX file out. Weights stay in their own files.

import { must } from '../../lib/errors.ts';
import { DTYPES } from '../dtype.ts';
import type { Graph } from '../graph.ts';
import type { Node, NodeOf, Tensor } from '../ir.ts';
import { verify } from '../verify.ts';
import { ENCODINGS, type EncodableOp } from './encodings.ts';
import { type AttributeProto, modelBytes, type NodeProto, type ValueInfoProto } from './proto.ts';
import { constantProto } from './tensor-proto.ts';

// The newest versions that both onnxruntime 1.30 and onnxruntime-web read, and the oldest with blockwise QuantizeLinear.
const IR_VERSION = 10;
const OPSET_IMPORT = [
  { domain: '', version: 21 },
  { domain: 'com.microsoft', version: 1 },
];

/** The ONNX file of a graph, verified first. */
export function encodeOnnx(graph: Graph): Uint8Array {
  verify(graph);
  const used = usedTensors(graph);
  return modelBytes({
    irVersion: IR_VERSION,
    producerName: 'attune',
    opsetImport: OPSET_IMPORT,
    graph: {
      name: graph.name,
      node: graph.nodes.map((node) => nodeProto(graph, node, used)),
      initializer: graph.initializers.map((tensor) => ({
        ...constantProto(tensor),
        name: nameOf(graph, tensor),
      })),
      input: graph.inputs.map((tensor) => valueInfo(nameOf(graph, tensor), tensor)),
      output: graph.outputs.map(({ name, tensor }) => valueInfo(name, tensor)),
      valueInfo: inner(graph, used).map((tensor) => valueInfo(nameOf(graph, tensor), tensor)),
    },
  });
}

const nameOf = (graph: Graph, tensor: Tensor): string =>
  must(graph.names.get(tensor), 'every tensor of a graph has a name');

/** What nodes hand to each other. onnxruntime cannot infer most symbolic shapes itself, and where it knows none it reuses no
 *  memory and takes a time quadratic in the nodes to find that out: 4.2 s instead of 0.3 s for a training step. */
function inner(graph: Graph, used: ReadonlySet<Tensor | null>): readonly Tensor[] {
  const outputs = new Set(graph.outputs.map(({ tensor }) => tensor));
  const made: readonly Tensor[] = graph.nodes.flatMap((node) => node.outputs);
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

function valueInfo(name: string, { dtype, shape }: Tensor): ValueInfoProto {
  const dim = shape.map((size) =>
    typeof size === 'number' ? { dimValue: size } : { dimParam: size },
  );
  return { name, type: { tensorType: { elemType: DTYPES[dtype].onnxCode, shape: { dim } } } };
}
