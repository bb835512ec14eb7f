import type { Ops, Tensor } from '../../../src/graph/ir.ts';
import type { EncodableOp } from '../../../src/graph/onnx/encodings.ts';
import type { NdArray } from './array.ts';

type Arrays<T extends readonly (Tensor | null)[]> = {
  readonly [I in keyof T]: T[I] extends Tensor ? NdArray : NdArray | null;
};

/** What an operator computes. */
type Reference<K extends EncodableOp> = (
  inputs: Arrays<Ops[K]['inputs']>,
  attributes: Ops[K]['attributes'],
) => readonly NdArray[];

/** What every operator computes. */
export type References = { readonly [K in EncodableOp]: Reference<K> };
