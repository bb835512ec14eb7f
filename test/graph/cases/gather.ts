import * as op from '../../../src/graph/ops/gather.ts';
import { bytes, declared, frozen, given, index, opCase, positive, real } from '../op-case.ts';

/** Cases of the operators that read or write by index. */
export const GATHER_CASES = {
  Gather: [
    opCase('for rows, some twice', [real(4, 3), given('i64', [3], [2, 0, 2])], (x, i) =>
      op.gather(x, i),
    ),
    opCase('for a table of rows', [real(5, 3), declared(index(5, 2, 4), ['B', 'S'])], (x, i) =>
      op.gather(x, i),
    ),
    opCase('along the last axis', [real(2, 4), given('i64', [3], [3, 0, 3])], (x, i) =>
      op.gather(x, i, -1),
    ),
    opCase('along a middle axis', [real(2, 3, 2), index(3, 2, 2)], (x, i) => op.gather(x, i, 1)),
    opCase('for i32 indices', [real(4, 2), given('i32', [2], [3, 1])], (x, i) => op.gather(x, i)),
    opCase('for one index', [real(4, 2), given('i64', [], [3])], (x, i) => op.gather(x, i)),
  ],
  GatherElements: [
    opCase('along the first axis', [real(3, 2), index(3, 2, 2)], (x, i) =>
      op.gatherElements(x, i, 0),
    ),
    opCase('along the last axis', [real(2, 4), index(4, 2, 3)], (x, i) =>
      op.gatherElements(x, i, -1),
    ),
  ],
  GatherND: [
    opCase('for slices', [real(3, 2), index(3, 4, 1)], op.gatherNd),
    opCase('for elements', [real(3, 2), index(2, 4, 2)], op.gatherNd),
  ],
  GatherBlockQuantized: [
    opCase(
      'for 8 bits',
      [bytes('u8', 5, 32), index(5, 2, 3), frozen(positive(5, 2))],
      (table, i, s) => op.gatherBlockQuantized(table, i, s, { bits: 8, blockSize: 16 }),
    ),
    opCase('for 4 bits', [bytes('u8', 5, 16), index(5, 2), frozen(positive(5, 2))], (table, i, s) =>
      op.gatherBlockQuantized(table, i, s, { bits: 4, blockSize: 16 }),
    ),
  ],
  ScatterND: [
    opCase(
      'when slices are replaced',
      [real(4, 2), given('i64', [2, 1], [3, 1]), real(2, 2)],
      (x, i, u) => op.scatterNd(x, i, u),
    ),
    opCase(
      'when slices are added, some twice',
      [real(4, 2), given('i64', [3, 1], [3, 1, 3]), real(3, 2)],
      (x, i, u) => op.scatterNd(x, i, u, 'add'),
    ),
  ],
  ScatterElements: [
    opCase(
      'when elements are replaced',
      [real(2, 4), given('i64', [2, 2], [3, 0, 1, 2]), real(2, 2)],
      (x, i, u) => op.scatterElements(x, i, u, { axis: 1 }),
    ),
    opCase(
      'when elements are added, some twice',
      [real(3, 2), given('i64', [2, 2], [1, 2, 1, 0]), real(2, 2)],
      (x, i, u) => op.scatterElements(x, i, u, { axis: 0, reduction: 'add' }),
    ),
  ],
};
