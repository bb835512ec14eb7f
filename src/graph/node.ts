import type { Node, NodeOf, OpName, Ops, Tensor, TensorType } from './ir.ts';
import { formatType, ShapeError } from './shape-error.ts';
import { SHAPE_RULES } from './shape-rules.ts';

/** Applies an operator and returns its outputs, with dtype and shape inferred. Throws ShapeError naming operator and inputs. */
export function applyOp<K extends OpName>(
  op: K,
  inputs: Ops[K]['inputs'],
  attributes: Ops[K]['attributes'],
): Ops[K]['outputs'] {
  const outputs: Tensor[] = [];
  const symbols = mergeSymbols(inputs);
  const node = { op, inputs: Object.freeze([...inputs]), attributes, outputs } as const;
  inferTypes(op, inputs, attributes).forEach((type, index) => {
    // NodeOf<K> for one K is a member of the union Node, which TypeScript cannot see for a generic K.
    const origin = { kind: 'node', node: node as NodeOf<OpName> as never, index } as const;
    outputs.push(Object.freeze({ ...type, origin, symbols }));
  });
  Object.freeze(outputs);
  Object.freeze(attributes);
  Object.freeze(node);
  return outputs as readonly Tensor[] as Ops[K]['outputs'];
}

const NO_SYMBOLS: Tensor['symbols'] = new Map();

/** The symbols of all inputs. Nearly always one input knows them all, and its map is shared. */
function mergeSymbols(inputs: readonly (Tensor | null)[]): Tensor['symbols'] {
  const maps = inputs.flatMap((x) => (x ? [x.symbols] : []));
  const largest = maps.reduce((a, b) => (b.size > a.size ? b : a), NO_SYMBOLS);
  const knowsAll = maps.every(
    (map) => map === largest || [...map.keys()].every((symbol) => largest.has(symbol)),
  );
  return knowsAll ? largest : new Map(maps.flatMap((map) => [...map]));
}

/** The types of an operator's outputs. Throws ShapeError naming operator and inputs. */
export function inferTypes<K extends OpName>(
  op: K,
  inputs: Ops[K]['inputs'],
  attributes: Ops[K]['attributes'],
): readonly TensorType[] {
  try {
    return SHAPE_RULES[op](inputs, attributes);
  } catch (cause) {
    if (!(cause instanceof ShapeError)) throw cause;
    const given = inputs.map((x) => (x ? formatType(x) : 'none')).join(', ');
    throw new ShapeError(`${op}(${given}): ${cause.message}`, { cause });
  }
}

/** The outputs of the same operator on other inputs; the node's own outputs when the inputs are its own. */
export function reapply(node: Node, inputs: readonly (Tensor | null)[]): readonly Tensor[] {
  if (inputs.every((x, at) => x === node.inputs[at])) return node.outputs;
  // The inputs came from a node of this very operator, which TypeScript cannot see across the union.
  return applyOp(node.op, inputs as never, node.attributes as never);
}
