// How each operator is written in ONNX.

import type { OpName, Ops } from '../ir.ts';
import { dtype, element, float, int, ints, string } from './attributes.ts';
import type { AttributeProto } from './proto.ts';

type Attributes<K extends OpName> = Ops[K]['attributes'];

/** How one attribute is written; null: it is part of another. */
type AttributeEncoder<K extends OpName, A extends keyof Attributes<K>> =
  | ((name: string, value: Attributes<K>[A], all: Attributes<K>) => AttributeProto)
  | null;

interface Encoding<K extends OpName> {
  readonly domain: '' | 'com.microsoft';
  readonly attributes: { readonly [A in keyof Attributes<K>]: AttributeEncoder<K, A> };
  /** Where our outputs stand among ONNX's; the later ones are left out when nothing uses them. Default: all, in order, always. */
  readonly outputPlaces?: readonly number[];
}

/** The operators that a built graph may hold. */
export type EncodableOp = Exclude<OpName, 'CustomGradient'>;

const PLAIN = { domain: '', attributes: {} } as const;
const BLOCKED = { domain: '', attributes: { axis: int, block_size: int } } as const;
const REDUCTION = { domain: '', attributes: { keepdims: int } } as const;
const AXIS = { domain: '', attributes: { axis: int } } as const;

/** The table of all encodings. Names and attributes are those of the ONNX specification and of onnxruntime's contrib operators. */
export const ENCODINGS: { readonly [K in EncodableOp]: Encoding<K> } = {
  Add: PLAIN,
  Sub: PLAIN,
  Mul: PLAIN,
  Div: PLAIN,
  Max: PLAIN,
  Min: PLAIN,
  Equal: PLAIN,
  Less: PLAIN,
  Greater: PLAIN,
  Where: PLAIN,
  Neg: PLAIN,
  Abs: PLAIN,
  Sign: PLAIN,
  Exp: PLAIN,
  Log: PLAIN,
  Sqrt: PLAIN,
  Reciprocal: PLAIN,
  Sigmoid: PLAIN,
  Softplus: PLAIN,
  Tanh: PLAIN,
  QuickGelu: { domain: 'com.microsoft', attributes: { alpha: float } },
  Identity: PLAIN,
  Cast: { domain: '', attributes: { to: dtype } },

  MatMul: PLAIN,
  FusedMatMul: {
    domain: 'com.microsoft',
    attributes: { transA: int, transB: int, alpha: float },
  },
  Gemm: { domain: '', attributes: { transA: int, transB: int, alpha: float, beta: float } },
  MatMulInteger: PLAIN,
  MatMulIntegerToFloat: { domain: 'com.microsoft', attributes: {} },
  MatMulNBits: {
    domain: 'com.microsoft',
    attributes: { K: int, N: int, bits: int, block_size: int, accuracy_level: int },
  },
  QuantizeLinear: BLOCKED,
  DequantizeLinear: BLOCKED,

  Reshape: PLAIN,
  Expand: PLAIN,
  Transpose: { domain: '', attributes: { perm: ints } },
  Concat: AXIS,
  Split: AXIS,
  Slice: PLAIN,
  Squeeze: PLAIN,
  Unsqueeze: PLAIN,
  Shape: { domain: '', attributes: { start: int, end: int } },
  ConstantOfShape: { domain: '', attributes: { value: element, dtype: null } },

  Gather: AXIS,
  GatherElements: AXIS,
  GatherND: PLAIN,
  GatherBlockQuantized: {
    domain: 'com.microsoft',
    attributes: { gather_axis: int, quantize_axis: int, block_size: int, bits: int },
  },
  ScatterND: { domain: '', attributes: { reduction: string } },
  ScatterElements: { domain: '', attributes: { axis: int, reduction: string } },

  ReduceSum: REDUCTION,
  ReduceMean: REDUCTION,
  ReduceMax: REDUCTION,
  ArgMax: { domain: '', attributes: { axis: int, keepdims: int } },
  TopK: AXIS,

  Softmax: AXIS,
  // onnxruntime keeps this operator of its own in the domain of the standard ones.
  SimplifiedLayerNormalization: {
    domain: '',
    attributes: { axis: int, epsilon: float, stash_type: int },
    outputPlaces: [0, 1],
  },
  // Outputs 1 and 2 would be mean and inverse deviation, which the CPU kernel does not compute.
  SkipSimplifiedLayerNormalization: {
    domain: 'com.microsoft',
    attributes: { epsilon: float },
    outputPlaces: [0, 3],
  },
  RotaryEmbedding: { domain: 'com.microsoft', attributes: { interleaved: int } },
};
