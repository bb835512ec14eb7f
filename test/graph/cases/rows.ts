import * as op from '../../../src/graph/ops/normalise.ts';
import * as reduce from '../../../src/graph/ops/reduce.ts';
import { declared, frozen, index, opCase, real } from '../op-case.ts';

const batch = () => declared(real(2, 3, 8), ['B', 'S', 8]);
const tables = () => [frozen(real(7, 4)), frozen(real(7, 4))] as const;

/** Cases of reductions and of the operators that work on whole rows. */
export const ROW_CASES = {
  ReduceSum: [
    opCase('for all elements', [real(2, 3)], reduce.sumAll),
    opCase('when axes are kept', [batch()], (x) => reduce.reduceSum(x, [0, -1])),
    opCase('when an axis is dropped', [batch()], (x) =>
      reduce.reduceSum(x, [1], { keepDims: false }),
    ),
  ],
  ReduceMean: [
    opCase('when an axis is kept', [real(2, 3)], (x) => reduce.reduceMean(x, [-1])),
    opCase('over symbolic axes', [batch()], (x) =>
      reduce.reduceMean(x, [0, 1], { keepDims: false }),
    ),
  ],
  ReduceMax: [
    opCase('when an axis is kept', [real(2, 3)], (x) => reduce.reduceMax(x, [-1])),
    opCase('when an axis is dropped', [batch()], (x) =>
      reduce.reduceMax(x, [1], { keepDims: false }),
    ),
  ],
  ArgMax: [
    opCase('along the last axis', [batch()], (x) => reduce.argMax(x, -1)),
    opCase('when the axis is dropped', [real(3, 4)], (x) =>
      reduce.argMax(x, 0, { keepDims: false }),
    ),
  ],
  TopK: [
    opCase('along the last axis', [real(2, 6)], (x) => {
      const { values, indices } = reduce.topK(x, 3);
      return [values, indices];
    }),
    opCase('along the first axis', [real(4, 2)], (x) => reduce.topK(x, 2, 0).values),
  ],
  Softmax: [
    opCase('along the last axis', [batch()], (x) => op.softmax(x)),
    opCase('along another axis', [real(3, 4)], (x) => op.softmax(x, 0)),
  ],
  SimplifiedLayerNormalization: [
    opCase('for rows', [batch(), real(8)], (x, gain) => op.rmsNorm(x, gain, 1e-5)),
    opCase('for a large epsilon', [real(2, 4), real(4)], (x, gain) => op.rmsNorm(x, gain, 0.5)),
  ],
  SkipSimplifiedLayerNormalization: [
    opCase('for both results', [batch(), batch(), real(8)], (x, skip, gain) => {
      const { normed, sum } = op.skipRmsNorm(x, skip, gain, 1e-5);
      return [normed, sum];
    }),
    opCase(
      'for the norm alone',
      [real(2, 8), real(2, 8), real(8)],
      (x, skip, gain) => op.skipRmsNorm(x, skip, gain, 0.1).normed,
    ),
  ],
  RotaryEmbedding: [
    opCase(
      'for two heads side by side',
      [declared(real(2, 3, 16), ['B', 'S', 16]), declared(index(7, 2, 3), ['B', 'S']), ...tables()],
      (x, positions, cos, sin) => op.rotaryEmbedding(x, { positions, cos, sin }),
    ),
    opCase(
      'for an axis of heads',
      [real(2, 3, 2, 8), index(7, 2, 2), ...tables()],
      (x, positions, cos, sin) => op.rotaryEmbedding(x, { positions, cos, sin }),
    ),
    opCase(
      'for positions from a first one',
      [real(2, 3, 16), index(4, 1), ...tables()],
      (x, positions, cos, sin) => op.rotaryEmbedding(x, { positions, cos, sin }),
    ),
    opCase(
      'for interleaved pairs',
      [real(1, 3, 16), index(7, 1, 3), ...tables()],
      (x, positions, cos, sin) => op.rotaryEmbedding(x, { positions, cos, sin, interleaved: true }),
    ),
  ],
};
