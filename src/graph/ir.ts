// The intermediate representation: tensors, the nodes that make them, and the list of all operators.
// Types only. Everything is frozen when made; a graph is whatever its outputs reach.
// What is known of an operator lives in three tables keyed by OpName: its shape rule (shape-rules.ts),
// its gradient rule (gradient-rules.ts) and its ONNX encoding (onnx/encodings.ts).
// Operators and attributes bear the names of the ONNX specification (or of onnxruntime's com.microsoft operators).

import type { Dim, Shape } from './dim.ts';
import type { DType, TensorData } from './dtype.ts';

/** What is known of a tensor before anything runs. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
  /** The elements of an i64 scalar or vector, where known: how `Reshape` and its like know their result. */
  readonly contents?: readonly Dim[] | undefined;
}

/** A value in a graph. */
export interface Tensor extends TensorType {
  readonly origin: Origin;
  /** Which graph input binds each symbol that occurs in what this tensor is made of. */
  readonly symbols: ReadonlyMap<string, SymbolSource>;
}

/** A graph input that has the symbol as one of its dimensions. */
export interface SymbolSource {
  readonly input: Tensor;
  readonly axis: number;
}

/** Where a tensor comes from. */
type Origin =
  | { readonly kind: 'input'; readonly name: string }
  | ({ readonly kind: 'weight'; readonly name: string } & ExternalData)
  | { readonly kind: 'constant'; readonly data: TensorData }
  | { readonly kind: 'node'; readonly node: Node; readonly index: number };

/** Bytes that stay in a file of their own and are mapped into memory. The path is relative to the folder of the `.onnx` file. */
export interface ExternalData {
  readonly file: string;
  readonly byteOffset: number;
}

/** An operator applied to tensors. */
export type Node = { [K in OpName]: NodeOf<K> }[OpName];

/** A node of one operator. */
export interface NodeOf<K extends OpName> {
  readonly op: K;
  readonly inputs: Ops[K]['inputs'];
  readonly attributes: Ops[K]['attributes'];
  readonly outputs: Ops[K]['outputs'];
}

/** Name of an operator. */
export type OpName = keyof Ops;

type NoAttributes = Readonly<Record<never, never>>;

interface Op<
  I extends readonly (Tensor | null)[],
  A = NoAttributes,
  O extends readonly Tensor[] = readonly [Tensor],
> {
  readonly inputs: I;
  readonly attributes: Readonly<A>;
  readonly outputs: O;
}

type Unary<A = NoAttributes> = Op<readonly [x: Tensor], A>;
type Binary<A = NoAttributes> = Op<readonly [a: Tensor, b: Tensor], A>;
type Reduction = Op<readonly [x: Tensor, axes: Tensor], { keepdims: boolean }>;
type Transposed = { transA: boolean; transB: boolean; alpha: number };
type Blocked = { axis: number; block_size: number };

/** How a scatter combines an update with what is there. */
export type ScatterReduction = 'none' | 'add';

/** Gradients of the outputs in, one gradient (or null: none) per parent out. */
export type VectorJacobianProduct = (grads: readonly Tensor[]) => readonly (Tensor | null)[];

/** All operators: inputs (null: an optional one left out), attributes, outputs. */
export interface Ops {
  Add: Binary;
  Sub: Binary;
  Mul: Binary;
  Div: Binary;
  Max: Binary;
  Min: Binary;
  Equal: Binary;
  Less: Binary;
  Greater: Binary;
  Where: Op<readonly [condition: Tensor, a: Tensor, b: Tensor]>;
  Neg: Unary;
  Abs: Unary;
  Sign: Unary;
  Exp: Unary;
  Log: Unary;
  Sqrt: Unary;
  Reciprocal: Unary;
  Sigmoid: Unary;
  Softplus: Unary;
  Tanh: Unary;
  QuickGelu: Unary<{ alpha: number }>;
  Identity: Unary;
  Cast: Unary<{ to: DType }>;

  MatMul: Binary;
  FusedMatMul: Binary<Transposed>;
  Gemm: Op<readonly [a: Tensor, b: Tensor, c: Tensor | null], Transposed & { beta: number }>;
  MatMulInteger: Op<readonly [a: Tensor, b: Tensor, aZero: Tensor | null, bZero: Tensor | null]>;
  MatMulIntegerToFloat: Op<
    readonly [
      a: Tensor,
      b: Tensor,
      aScale: Tensor,
      bScale: Tensor,
      aZero: Tensor | null,
      bZero: Tensor | null,
      bias: Tensor | null,
    ]
  >;
  MatMulNBits: Op<
    readonly [x: Tensor, weight: Tensor, scales: Tensor],
    { K: number; N: number; bits: number; block_size: number; accuracy_level: number }
  >;
  QuantizeLinear: Op<readonly [x: Tensor, scale: Tensor, zero: Tensor], Blocked>;
  DequantizeLinear: Op<readonly [x: Tensor, scale: Tensor, zero: Tensor | null], Blocked>;

  Reshape: Op<readonly [x: Tensor, shape: Tensor]>;
  Expand: Op<readonly [x: Tensor, shape: Tensor]>;
  Transpose: Unary<{ perm: readonly number[] }>;
  Concat: Op<readonly Tensor[], { axis: number }>;
  Split: Op<readonly [x: Tensor, sizes: Tensor], { axis: number }, readonly Tensor[]>;
  Slice: Op<readonly [x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor]>;
  Squeeze: Op<readonly [x: Tensor, axes: Tensor]>;
  Unsqueeze: Op<readonly [x: Tensor, axes: Tensor]>;
  Shape: Unary<{ start: number; end: number }>;
  ConstantOfShape: Op<readonly [shape: Tensor], { value: number; dtype: DType }>;

  Gather: Op<readonly [x: Tensor, indices: Tensor], { axis: number }>;
  GatherElements: Op<readonly [x: Tensor, indices: Tensor], { axis: number }>;
  GatherND: Op<readonly [x: Tensor, indices: Tensor]>;
  GatherBlockQuantized: Op<
    readonly [table: Tensor, indices: Tensor, scales: Tensor],
    { gather_axis: number; quantize_axis: number; block_size: number; bits: number }
  >;
  ScatterND: Op<
    readonly [x: Tensor, indices: Tensor, updates: Tensor],
    { reduction: ScatterReduction }
  >;
  ScatterElements: Op<
    readonly [x: Tensor, indices: Tensor, updates: Tensor],
    { axis: number; reduction: ScatterReduction }
  >;

  ReduceSum: Reduction;
  ReduceMean: Reduction;
  ReduceMax: Reduction;
  ArgMax: Unary<{ axis: number; keepdims: boolean }>;
  TopK: Op<
    readonly [x: Tensor, k: Tensor],
    { axis: number },
    readonly [values: Tensor, indices: Tensor]
  >;

  Softmax: Unary<{ axis: number }>;
  SimplifiedLayerNormalization: Op<
    readonly [x: Tensor, gain: Tensor],
    { axis: number; epsilon: number; stash_type: number },
    readonly [normed: Tensor, inverseRms: Tensor]
  >;
  SkipSimplifiedLayerNormalization: Op<
    readonly [x: Tensor, skip: Tensor, gain: Tensor],
    { epsilon: number },
    readonly [normed: Tensor, sum: Tensor]
  >;
  RotaryEmbedding: Op<
    readonly [x: Tensor, positions: Tensor, cos: Tensor, sin: Tensor],
    { interleaved: boolean }
  >;

  /** Gives its first `outputCount` inputs on unchanged; the gradient goes to the other inputs by `vjp`. Never reaches a built graph. */
  CustomGradient: Op<
    readonly Tensor[],
    { name: string; outputCount: number; vjp: VectorJacobianProduct },
    readonly Tensor[]
  >;
}
