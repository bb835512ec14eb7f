import { at, dropAxes, foldAxes, generate, mapElements, type NdArray, sum } from './array.ts';
import type { References } from './rule.ts';

const mean = (xs: readonly number[]): number => sum(xs) / xs.length;

const reduction =
  (fold: (elements: readonly number[]) => number): References['ReduceSum'] =>
  ([x, axes], { keepdims }) => {
    const folded = foldAxes(x, axes.data, fold);
    return [keepdims ? folded : dropAxes(folded, axes.data)];
  };

/** Places along an axis, largest element first, equal ones in order. */
function ranking(x: NdArray, axis: number, index: readonly number[]): readonly number[] {
  const along = Array.from({ length: x.dims[axis] ?? 0 }, (_, place) =>
    at(x, index.with(axis, place)),
  );
  return along
    .map((value, place) => ({ value, place }))
    .sort((a, b) => b.value - a.value || a.place - b.place)
    .map(({ place }) => place);
}

function rmsNorm(x: NdArray, gain: NdArray, epsilon: number): readonly [NdArray, NdArray] {
  const inverse = foldAxes(
    x,
    [x.dims.length - 1],
    (xs) => 1 / Math.sqrt(mean(xs.map((v) => v * v)) + epsilon),
  );
  return [mapElements([x, inverse, gain], (v = 0, r = 0, g = 0) => v * r * g), inverse];
}

/** Which pair of its head a column belongs to, and whether as the second of the two. */
function pairOf(
  column: number,
  half: number,
  interleaved: boolean,
): [pair: number, second: boolean] {
  if (interleaved) return [Math.floor(column / 2), column % 2 === 1];
  return [column % half, column >= half];
}

/** Each head's pairs turned by the angle of their position. */
function rotate(
  x: NdArray,
  tables: { positions: NdArray; cos: NdArray; sin: NdArray; interleaved: boolean },
): NdArray {
  const { positions, cos, sin, interleaved } = tables;
  const half = cos.dims[1] ?? 0;
  const partnerDistance = interleaved ? 1 : half;
  return generate(x.dims, (index) => {
    const [row = 0, second = 0, third = 0] = index;
    const step = x.dims.length === 4 ? third : second;
    const isFirstOnly = positions.dims.length === 1;
    const position = isFirstOnly ? at(positions, [0]) + step : at(positions, [row, step]);
    const column = index.at(-1) ?? 0;
    const [pair, isSecond] = pairOf(column % (2 * half), half, interleaved);
    const partner = at(x, index.with(-1, column + (isSecond ? -partnerDistance : partnerDistance)));
    const turned = partner * at(sin, [position, pair]);
    return at(x, index) * at(cos, [position, pair]) + (isSecond ? turned : -turned);
  });
}

/** The naive reference of reductions and of the operators that work on whole rows. */
export const ROW_REFERENCE = {
  ReduceSum: reduction(sum),
  ReduceMean: reduction(mean),
  ReduceMax: reduction((xs) => Math.max(...xs)),
  ArgMax: ([x], { axis, keepdims }) => {
    const places = generate(x.dims.with(axis, 1), (index) => ranking(x, axis, index)[0] ?? 0);
    return [keepdims ? places : dropAxes(places, [axis])];
  },
  TopK: ([x, k], { axis }) => {
    const dims = x.dims.with(axis, k.data[0] ?? 0);
    const place = (index: readonly number[]): number =>
      ranking(x, axis, index)[index[axis] ?? 0] ?? 0;
    return [
      generate(dims, (index) => at(x, index.with(axis, place(index)))),
      generate(dims, place),
    ];
  },
  Softmax: ([x], { axis }) => {
    const powers = mapElements([x], (v = 0) => Math.exp(v));
    return [mapElements([powers, foldAxes(powers, [axis], sum)], (p = 0, total = 0) => p / total)];
  },
  SimplifiedLayerNormalization: ([x, gain], { epsilon }) => rmsNorm(x, gain, epsilon),
  SkipSimplifiedLayerNormalization: ([x, skip, gain], { epsilon }) => {
    const total = mapElements([x, skip], (a = 0, b = 0) => a + b);
    return [rmsNorm(total, gain, epsilon)[0], total];
  },
  RotaryEmbedding: ([x, positions, cos, sin], { interleaved }) => [
    rotate(x, { positions, cos, sin, interleaved }),
  ],
} satisfies Partial<References>;
