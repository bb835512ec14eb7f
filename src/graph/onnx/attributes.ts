import { DTYPES, type DType } from '../dtype.ts';
import { scalar } from '../tensor.ts';
import type { AttributeProto, GraphProto, TensorProto } from './proto.ts';
import { constantProto } from './tensor-proto.ts';

// AttributeProto.AttributeType
const FLOAT = 1;
const INT = 2;
const STRING = 3;
const TENSOR = 4;
const GRAPH = 5;
const INTS = 7;

/** A whole number or a flag. */
export const int = (name: string, value: number | boolean): AttributeProto => ({
  name,
  type: INT,
  i: Number(value),
});

/** A real number. */
export const float = (name: string, value: number): AttributeProto => ({
  name,
  type: FLOAT,
  f: value,
});

/** A list of whole numbers. */
export const ints = (name: string, value: readonly number[]): AttributeProto => ({
  name,
  type: INTS,
  ints: value,
});

/** A word. */
export const string = (name: string, value: string): AttributeProto => ({
  name,
  type: STRING,
  s: new TextEncoder().encode(value),
});

/** A constant. */
export const tensor = (name: string, value: TensorProto): AttributeProto => ({
  name,
  type: TENSOR,
  t: value,
});

/** A graph within the graph. */
export const graph = (name: string, value: GraphProto): AttributeProto => ({
  name,
  type: GRAPH,
  g: value,
});

/** An element type. */
export const dtype = (name: string, value: DType): AttributeProto =>
  int(name, DTYPES[value].onnxCode);

/** One number with its element type, as a tensor of one element. */
export const element = (
  name: string,
  value: number,
  { dtype: type }: { readonly dtype: DType },
): AttributeProto => tensor(name, { ...constantProto(scalar(value, type)), dims: [1] });
