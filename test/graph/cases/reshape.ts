import * as op from '../../../src/graph/ops/reshape.ts';
import { declared, frozen, opCase, real } from '../op-case.ts';

const batch = () => declared(real(2, 3, 8), ['B', 'S', 8]);

/** Cases of the operators that move elements. */
export const RESHAPE_CASES = {
  Reshape: [
    opCase('for known dimensions', [real(2, 6)], (x) => op.reshape(x, [3, 4])),
    opCase('when 0 copies and -1 infers', [batch()], (x) => op.reshape(x, [0, -1, 4])),
    opCase('when a symbol stays and one moves', [batch()], (x) => op.reshape(x, ['B', 2, 'S', 4])),
    opCase('when two symbols move', [batch()], (x) =>
      op.reshape(op.reshape(x, [-1, 8]), ['S', 'B', 8]),
    ),
    opCase('when symbols multiply and add', [declared(real(2, 3), ['B', 'S'])], (x) =>
      op.reshape(op.expand(x, [4, 'B', 'S']), ['2*B', 1, '2*S']),
    ),
    opCase(
      'like another tensor',
      [batch(), frozen(declared(real(2, 3, 4, 2), ['B', 'S', 4, 2]))],
      op.reshapeLike,
    ),
  ],
  Expand: [
    opCase('for symbols', [declared(real(2, 1, 3), ['B', 1, 'S'])], (x) =>
      op.expand(x, ['B', '2*S+B', 'S']),
    ),
    opCase('for known dimensions', [real(3, 1)], (x) => op.expand(x, [2, 3, 4])),
    opCase('like another tensor', [real(8), frozen(batch())], op.expandLike),
  ],
  Transpose: [
    opCase('for a matrix', [real(2, 3)], (x) => op.transpose(x, [1, 0])),
    opCase('for a cycle of axes', [batch()], (x) => op.transpose(x, [2, 0, 1])),
  ],
  Concat: [
    opCase('along the first axis', [real(2, 3), real(1, 3)], (a, b) => op.concat([a, b], 0)),
    opCase('along the last axis', [real(2, 3), real(2, 2), real(2, 1)], (...xs) =>
      op.concat(xs, -1),
    ),
    opCase(
      'for symbols',
      [declared(real(2, 3), ['B', 'T']), declared(real(2, 2), ['B', 'S'])],
      (a, b) => op.concat([a, b], 1),
    ),
  ],
  Split: [
    opCase('along the last axis', [real(2, 6)], (x) => op.split(x, [1, 3, 2], -1)),
    opCase(
      'for sizes by symbol',
      [declared(real(2, 3), ['B', 'T']), declared(real(2, 2), ['B', 'S'])],
      (a, b) => op.split(op.concat([a, b], 1), ['T', 'S'], 1),
    ),
    opCase('when one part is used', [real(6, 2)], (x) => op.split(x, [2, 4], 0).slice(0, 1)),
    opCase(
      'for symbols',
      [declared(real(2, 3), ['B', 'T']), declared(real(2, 2), ['B', 'S'])],
      (a, b) => op.split(op.concat([a, b], 1), op.concat([op.sizeOf(a, 1), op.sizeOf(b, 1)], 0), 1),
    ),
  ],
  Slice: [
    opCase('in the middle', [real(2, 6)], (x) => op.slice(x, 1, 2, 5)),
    opCase('to the end', [declared(real(2, 6), ['B', 6])], (x) =>
      op.slice(x, -1, 4, Number.POSITIVE_INFINITY),
    ),
    opCase('from the start', [real(4, 2)], (x) => op.slice(x, 0, 0, 1)),
  ],
  Squeeze: [opCase('for two axes', [real(1, 3, 1)], (x) => op.squeeze(x, [0, 2]))],
  Unsqueeze: [opCase('for two axes', [batch()], (x) => op.unsqueeze(x, [1, -1]))],
  Shape: [
    opCase('for all axes', [batch()], op.shapeOf),
    opCase('for one axis', [batch()], (x) => op.sizeOf(x, -2)),
  ],
  ConstantOfShape: [
    opCase('like another tensor', [batch()], op.zerosLike),
    opCase('for a known shape', [], () => op.full([2, 3], 1.5)),
    opCase('for whole numbers', [batch()], (x) => op.full(op.shapeOf(x), 7, 'i64')),
  ],
};
