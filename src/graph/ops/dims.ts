// Shapes as tensors: what Reshape and its like are given.

import { type Dim, dimTerms } from '../dim.ts';
import type { Tensor } from '../ir.ts';
import { applyOp } from '../node.ts';
import { ShapeError } from '../shape-error.ts';
import { i64 } from '../tensor.ts';

/** Dimensions as a list, or as an i64 vector whose contents are known. */
export type Dims = readonly Dim[] | Tensor;

/** True for dimensions that are a vector already. */
export const isVector = (dims: Dims): dims is Tensor => 'dtype' in dims;

/** Dimensions as an i64 vector. Symbols are read from the graph inputs that bind them, among all that `from` is made of.
 *  Reading them from `from` itself would keep it in memory until the vector is needed, in a backward pass far too long. */
export function dimsVector(dims: Dims, from: Tensor | null): Tensor {
  if (isVector(dims)) return dims;
  const parts: Tensor[] = [];
  let known: number[] = [];
  for (const dim of dims) {
    if (typeof dim === 'number') known.push(dim);
    else {
      if (known.length > 0) parts.push(i64(known));
      parts.push(symbolicSize(dim, from));
      known = [];
    }
  }
  if (known.length > 0 || parts.length === 0) parts.push(i64(known));
  const [only, ...others] = parts;
  return only && others.length === 0 ? only : applyOp('Concat', parts, { axis: 0 })[0];
}

/** The shape of a tensor as an i64 vector, which keeps the tensor itself out of memory where it can. */
export function shapeVector(x: Tensor): Tensor {
  const isKnown = x.shape.flatMap(symbolsIn).every((symbol) => x.symbols.has(symbol));
  return isKnown
    ? dimsVector(x.shape, x)
    : applyOp('Shape', [x], { start: 0, end: x.shape.length })[0];
}

const symbolsIn = (dim: Dim): readonly string[] => dimTerms(dim).flatMap(({ symbols }) => symbols);

function symbolicSize(dim: string, from: Tensor | null): Tensor {
  const terms = dimTerms(dim).map(({ count, symbols }) => {
    const sizes = symbols.map((symbol) => symbolSize(symbol, from));
    const factors = count === 1 && sizes.length > 0 ? sizes : [i64([count]), ...sizes];
    return factors.reduce((a, b) => applyOp('Mul', [a, b], {})[0]);
  });
  return terms.reduce((a, b) => applyOp('Add', [a, b], {})[0]);
}

function symbolSize(symbol: string, from: Tensor | null): Tensor {
  const source = from?.symbols.get(symbol);
  if (source) {
    const { input, axis } = source;
    return applyOp('Shape', [input], { start: axis, end: axis + 1 })[0];
  }
  throw new ShapeError(`'${symbol}' is no dimension of an input here; use sizeOf and concat`);
}
