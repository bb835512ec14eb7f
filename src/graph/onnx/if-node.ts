// The one operator of ONNX that our graphs do not have: what stands in its branch is part of the graph around it.

import { graph, tensor } from './attributes.ts';
import type { GraphProto, NodeProto, ValueInfoProto } from './proto.ts';

/** A node that gives what `branch` gives where `condition` holds, and tensors without elements otherwise.
 *  `given`: names and types of its outputs. */
export function ifProto(
  condition: string,
  branch: Omit<GraphProto, 'name' | 'initializer'>,
  given: readonly ValueInfoProto[],
): NodeProto {
  return {
    name: condition,
    opType: 'If',
    domain: '',
    input: [condition],
    output: given.map(({ name }) => name),
    attribute: [
      graph('then_branch', { ...branch, name: `${condition}.then`, initializer: [] }),
      graph('else_branch', nothing(`${condition}.else`, given)),
    ],
  };
}

/** A graph without inputs whose outputs have these types and no elements. */
function nothing(name: string, given: readonly ValueInfoProto[]): GraphProto {
  const output = given.map((value) => ({ ...value, name: `${value.name}.none` }));
  const node = output.map(({ name: none, type: { tensorType } }): NodeProto => {
    const dims = tensorType.shape.dim.map(() => 0);
    const value = { dims, dataType: tensorType.elemType, rawData: new Uint8Array() };
    return {
      ...{ name: none, opType: 'Constant', domain: '', input: [], output: [none] },
      attribute: [tensor('value', value)],
    };
  });
  return { name, node, output, input: [], initializer: [], valueInfo: [] };
}
