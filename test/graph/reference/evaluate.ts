// Runs a graph of tensors in float64, naively: the one reference that ONNX Runtime and the gradient rules are held against.

import type { Node, Tensor } from '../../../src/graph/ir.ts';
import { topologyOf } from '../../../src/graph/topology.ts';
import { must } from '../../../src/lib/errors.ts';
import type { NdArray } from './array.ts';
import { ELEMENTWISE_REFERENCE } from './elementwise.ts';
import { GATHER_REFERENCE } from './gather.ts';
import { MATRIX_REFERENCE } from './matrix.ts';
import { RESHAPE_REFERENCE } from './reshape.ts';
import { ROW_REFERENCE } from './rows.ts';
import type { References } from './rule.ts';

const REFERENCES: References = {
  ...ELEMENTWISE_REFERENCE,
  ...MATRIX_REFERENCE,
  ...RESHAPE_REFERENCE,
  ...GATHER_REFERENCE,
  ...ROW_REFERENCE,
};

/** The values of `outputs` when inputs have the values of `feeds`, by name. */
export function evaluate(
  outputs: readonly Tensor[],
  feeds: ReadonlyMap<string, NdArray>,
): readonly NdArray[] {
  const values = new Map<Tensor, NdArray>();
  const arrayOf = (tensor: Tensor): NdArray => must(values.get(tensor), 'producers come first');
  const { leaves, nodes } = topologyOf(outputs);
  for (const leaf of leaves) values.set(leaf, leafValue(leaf, feeds));
  for (const node of nodes) {
    const results = apply(
      node,
      node.inputs.map((x) => x && arrayOf(x)),
    );
    node.outputs.forEach((y, at) => {
      values.set(y, must(results[at], `output ${at} of ${node.op}`));
    });
  }
  return outputs.map(arrayOf);
}

function leafValue({ origin, shape }: Tensor, feeds: ReadonlyMap<string, NdArray>): NdArray {
  if (origin.kind === 'constant')
    return { dims: shape.map(Number), data: Array.from(origin.data, Number) };
  if (origin.kind === 'input') return must(feeds.get(origin.name), `a feed for ${origin.name}`);
  throw new Error(`the reference knows no ${origin.kind}`);
}

function apply(node: Node, inputs: readonly (NdArray | null)[]): readonly NdArray[] {
  if (node.op === 'CustomGradient') {
    return inputs.slice(0, node.attributes.outputCount).filter((x) => x !== null);
  }
  return REFERENCES[node.op](inputs as never, node.attributes as never);
}
