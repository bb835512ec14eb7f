// One line per operator: a case names its inputs and builds tensors from them. Its value is compared with the naive float64
// reference, its gradient with central differences of that reference.

import type { Shape } from '../../src/graph/dim.ts';
import { DTYPES, type DType, type TensorData } from '../../src/graph/dtype.ts';
import type { Tensor } from '../../src/graph/ir.ts';
import { input } from '../../src/graph/tensor.ts';
import { must } from '../../src/lib/errors.ts';
import { type HostTensor, hostTensor } from '../../src/runtime/host-tensor.ts';
import { type NdArray, sizeOfDims } from './reference/array.ts';

/** An input with its elements. */
export interface CaseInput {
  readonly dtype: DType;
  readonly array: NdArray;
  /** As declared to the graph; may hold symbols. */
  readonly shape: Shape;
  /** A table or a weight that takes no gradient. */
  readonly frozen: boolean;
}

/** Inputs, and the tensors built from them. */
export interface OpCase {
  /** Completes the sentence "agrees with the reference ...". */
  readonly name: string;
  readonly inputs: readonly CaseInput[];
  readonly outputs: readonly Tensor[];
  readonly params: readonly Tensor[];
  /** Largest difference from the reference, relative to 1 + its size. */
  readonly tolerance: number;
}

/** A case by its inputs and a function that applies the operator. */
export function opCase(
  name: string,
  inputs: readonly CaseInput[],
  apply: (...tensors: Tensor[]) => Tensor | readonly Tensor[],
  tolerance = 1e-5,
): OpCase {
  const tensors = inputs.map(({ dtype, shape }, at) => input(inputName(at), dtype, shape));
  const params = tensors.filter((x, at) => DTYPES[x.dtype].isFloat && !inputs[at]?.frozen);
  const outputs = [apply(...tensors)].flat();
  return { name, inputs, outputs, params, tolerance };
}

const inputName = (at: number): string => `x${at}`;

const randomNumbers = (seed: number): (() => number) => {
  // mulberry32: the same numbers on every machine.
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    const mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    const again = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((again ^ (again >>> 14)) >>> 0) / 2 ** 32;
  };
};

let seeds = 1;

function draw(dtype: DType, dims: readonly number[], element: (u: number) => number): CaseInput {
  const random = randomNumbers(seeds++);
  const data = Array.from({ length: sizeOfDims(dims) }, () => element(random()));
  return { dtype, array: { dims, data }, shape: dims, frozen: false };
}

/** Floats of either sign between 0.1 and 1.5 in size, so that no central difference crosses a kink at 0. */
export const real = (...dims: number[]): CaseInput =>
  draw('f32', dims, (u) => Math.fround((u < 0.5 ? -1 : 1) * (0.1 + 1.4 * ((2 * u) % 1))));

/** Floats between 0.5 and 2. */
export const positive = (...dims: number[]): CaseInput =>
  draw('f32', dims, (u) => Math.fround(0.5 + 1.5 * u));

/** Indices below a limit. */
export const index = (limit: number, ...dims: number[]): CaseInput =>
  draw('i64', dims, (u) => Math.floor(u * limit));

/** Whole numbers over the range of a small type. */
export const bytes = (dtype: 'u8' | 'i8', ...dims: number[]): CaseInput =>
  draw(dtype, dims, (u) => Math.floor(u * 256) - (dtype === 'i8' ? 128 : 0));

/** Given elements. */
export const given = (
  dtype: DType,
  dims: readonly number[],
  data: readonly number[],
): CaseInput => ({
  dtype,
  array: { dims, data },
  shape: dims,
  frozen: false,
});

/** The same input without gradient. */
export const frozen = (of: CaseInput): CaseInput => ({ ...of, frozen: true });

/** The same input, declared with symbols. */
export const declared = (of: CaseInput, shape: Shape): CaseInput => ({ ...of, shape });

/** The feeds for ONNX Runtime. */
export function hostFeeds(inputs: readonly CaseInput[]): Readonly<Record<string, HostTensor>> {
  return Object.fromEntries(
    inputs.map(({ dtype, array }, at) => [inputName(at), toHost(dtype, array)]),
  );
}

function toHost(dtype: DType, { dims, data }: NdArray): HostTensor {
  const elements = new DTYPES[dtype].Data(data.length);
  data.forEach((value, at) => {
    elements[at] = dtype === 'i64' ? BigInt(value) : value;
  });
  return hostTensor(elements as TensorData, dims);
}

/** The feeds for the reference, with one element of one input moved by `by`. */
export function referenceFeeds(
  inputs: readonly CaseInput[],
  moved?: { readonly name: string; readonly element: number; readonly by: number },
): ReadonlyMap<string, NdArray> {
  return new Map(
    inputs.map(({ array }, at) => {
      if (moved?.name !== inputName(at)) return [inputName(at), array];
      const element = must(array.data[moved.element], 'an element to move');
      return [
        inputName(at),
        { ...array, data: array.data.with(moved.element, element + moved.by) },
      ];
    }),
  );
}
