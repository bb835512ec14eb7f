import { at, generate, indexTuples, type NdArray, sizeOfDims } from './array.ts';
import { unpackRows } from './matrix.ts';
import type { References } from './rule.ts';

const gather = (x: NdArray, indices: NdArray, axis: number): NdArray =>
  generate([...x.dims.slice(0, axis), ...indices.dims, ...x.dims.slice(axis + 1)], (index) => {
    const inner = axis + indices.dims.length;
    const place = at(indices, index.slice(axis, inner));
    return at(x, [...index.slice(0, axis), place, ...index.slice(inner)]);
  });

/** The place in x that an index of the gathered array, or of the updates, stands for. */
function tuplePlace(indices: NdArray, index: readonly number[]): readonly number[] {
  const outer = index.slice(0, indices.dims.length - 1);
  const width = indices.dims.at(-1) ?? 0;
  const tuple = Array.from({ length: width }, (_, k) => at(indices, [...outer, k]));
  return [...tuple, ...index.slice(outer.length)];
}

type Index = readonly number[];

function scatter(
  x: NdArray,
  updates: NdArray,
  { placeOf, reduction }: { placeOf: (index: Index) => Index; reduction: 'none' | 'add' },
): NdArray {
  const data = [...x.data];
  for (const index of indexTuples(updates.dims)) {
    const offset = placeOf(index).reduce(
      (total, i, axis) => total + i * sizeOfDims(x.dims.slice(axis + 1)),
      0,
    );
    data[offset] = at(updates, index) + (reduction === 'add' ? (data[offset] ?? 0) : 0);
  }
  return { dims: x.dims, data };
}

/** The naive reference of the operators that read or write by index. */
export const GATHER_REFERENCE = {
  Gather: ([x, indices], { axis }) => [gather(x, indices, axis)],
  GatherElements: ([x, indices], { axis }) => [
    generate(indices.dims, (index) => at(x, index.with(axis, at(indices, index)))),
  ],
  GatherND: ([x, indices]) => {
    const width = indices.dims.at(-1) ?? 0;
    const dims = [...indices.dims.slice(0, -1), ...x.dims.slice(width)];
    return [generate(dims, (index) => at(x, tuplePlace(indices, index)))];
  },
  GatherBlockQuantized: ([table, indices, scales], attributes) => [
    gather(unpackRows(table, scales, attributes), indices, 0),
  ],
  ScatterND: ([x, indices, updates], { reduction }) => [
    scatter(x, updates, { placeOf: (index) => tuplePlace(indices, index), reduction }),
  ],
  ScatterElements: ([x, indices, updates], { axis, reduction }) => [
    scatter(x, updates, { placeOf: (index) => index.with(axis, at(indices, index)), reduction }),
  ],
} satisfies Partial<References>;
