import { describe, expect, it } from 'vitest';
import type { Shape } from '../../src/graph/dim.ts';
import type { DType } from '../../src/graph/dtype.ts';
import type { Tensor } from '../../src/graph/ir.ts';
import { add, exp, where } from '../../src/graph/ops/elementwise.ts';
import {
  gather,
  gatherBlockQuantized,
  gatherElements,
  gatherNd,
  scatterNd,
} from '../../src/graph/ops/gather.ts';
import {
  gemm,
  matmul,
  matmulInteger,
  matmulIntegerToFloat,
  matmulNBits,
} from '../../src/graph/ops/matrix.ts';
import { rmsNorm, rotaryEmbedding, skipRmsNorm, softmax } from '../../src/graph/ops/normalise.ts';
import { dequantizeLinear, quantizeLinear } from '../../src/graph/ops/quantise.ts';
import { argMax, reduceSum, topK } from '../../src/graph/ops/reduce.ts';
import {
  concat,
  expand,
  full,
  reshape,
  slice,
  split,
  squeeze,
  transpose,
  unsqueeze,
} from '../../src/graph/ops/reshape.ts';
import { ShapeError } from '../../src/graph/shape-error.ts';
import { constant, i64, input, scalar } from '../../src/graph/tensor.ts';

const t = (shape: Shape, dtype: DType = 'f32'): Tensor => input('t', dtype, shape);

const CASES: readonly (readonly [what: string, build: () => unknown, message: string])[] = [
  [
    'sizes that do not broadcast',
    () => add(t([2, 3]), t([4])),
    'Add(f32[2, 3], f32[4]): dimensions 3 and 4 do not broadcast',
  ],
  [
    'a symbol against a number',
    () => add(t(['B', 3]), t([2, 3])),
    'Add(f32[B, 3], f32[2, 3]): dimensions B and 2 do not broadcast',
  ],
  [
    'two element types',
    () => add(t([2]), t([2], 'i64')),
    'Add(f32[2], i64[2]): element types f32 and i64 differ',
  ],
  [
    'a float operator on whole numbers',
    () => exp(t([2], 'i64')),
    'Exp(i64[2]): x must be of a float type, but is i64',
  ],
  [
    'a condition that is none',
    () => where(t([2]), 1, 2),
    'Where(f32[2], f32[], f32[]): condition must be bool, but is f32',
  ],
  [
    'inner dimensions that differ',
    () => matmul(t(['B', 3]), t([4, 2])),
    'MatMul(f32[B, 3], f32[4, 2]): inner dimensions 3 and 4 differ',
  ],
  [
    'a vector as a matrix',
    () => matmul(t([3]), t([3, 2])),
    'MatMul(f32[3], f32[3, 2]): a needs at least 2 dimensions',
  ],
  [
    'options on a product of another type',
    () => matmul(t([2, 2], 'f16'), t([2, 2], 'f16'), { transB: true }),
    'a must be f32, but is f16',
  ],
  ['a batch for gemm', () => gemm(t([2, 2, 2]), t([2, 2])), 'a and b must have 2 dimensions'],
  [
    'a c that does not fit',
    () => gemm(t([2, 3]), t([3, 4]), { c: t([3, 1, 4]) }),
    'Gemm(f32[2, 3], f32[3, 4], f32[3, 1, 4]): c must broadcast to a b',
  ],
  [
    'a left-out input',
    () => gemm(t([2, 3]), t([4, 4])),
    'Gemm(f32[2, 3], f32[4, 4], none): inner dimensions 3 and 4 differ',
  ],
  [
    'floats in an integer product',
    () => matmulInteger(t([2, 2]), t([2, 2], 'i8')),
    'a must be u8 or i8, but is f32',
  ],
  [
    'a zero point of another type',
    () => matmulInteger(t([2, 2], 'u8'), t([2, 2], 'i8'), { a: scalar(0, 'i8') }),
    'element types u8 and i8 differ',
  ],
  [
    'a scale per row',
    () =>
      matmulIntegerToFloat(t([2, 3], 'u8'), t([3, 4], 'i8'), { aScale: t([2]), bScale: t([4]) }),
    'aScale must have shape [], but has [2]',
  ],
  [
    'too few column scales',
    () =>
      matmulIntegerToFloat(t([2, 3], 'u8'), t([3, 4], 'i8'), { aScale: scalar(1), bScale: t([3]) }),
    'bScale must have shape [4], but has [3]',
  ],
  [
    'weights of another packing',
    () =>
      matmulNBits(t([1, 32]), t([4, 1, 32], 'u8'), t([4, 1]), {
        K: 32,
        N: 4,
        bits: 4,
        blockSize: 32,
      }),
    'weight must have shape [4, 1, 16], but has [4, 1, 32]',
  ],
  [
    'a scale that fits no axis',
    () => quantizeLinear(t([2, 3]), t([3]), constant('i8', [3], [0, 0, 0])),
    'scale must be [] or [2]',
  ],
  [
    'blocks that do not divide',
    () => quantizeLinear(t([2, 6]), t([2, 2]), t([2, 2], 'u8'), { axis: 1, blockSize: 4 }),
    'block size 4 does not divide dimension 6',
  ],
  [
    'one scale for many blocks',
    () => dequantizeLinear(t([2, 8], 'i8'), t([2, 1]), { axis: 1, blockSize: 4 }),
    'scale must have one element per block: [2, 2]',
  ],
  [
    'another number of elements',
    () => reshape(t([2, 3]), [4, 2]),
    'Reshape(f32[2, 3], i64[2]): [4, 2] does not hold the same number of elements',
  ],
  [
    'a rest that is not whole',
    () => reshape(t(['B', 3]), [2, -1]),
    '[2, -1] does not hold the same number of elements',
  ],
  ['two dimensions to infer', () => reshape(t([2, 3]), [-1, -1]), '[-1, -1] has more than one -1'],
  [
    'a symbol that comes out otherwise',
    () => reshape(t(['B', 'S', 4]), ['S', 0, 4]),
    'Reshape(f32[B, S, 4]): cannot become [S, 0, 4]',
  ],
  ['a shape that is not known', () => reshape(t([2, 3]), t([2], 'i64')), 'shape must be known'],
  [
    'a symbol with no source',
    () => expand(t([1]), ['B']),
    "'B' is no dimension of an input here; use sizeOf and concat",
  ],
  ['an expansion to less', () => expand(t([2, 3]), [2, 4]), 'dimensions 3 and 4 do not broadcast'],
  ['axes left out', () => transpose(t([2, 3]), [0]), 'perm [0] is no permutation of the axes'],
  [
    'an axis twice',
    () => transpose(t([2, 3]), [0, 0]),
    'perm [0, 0] is no permutation of the axes',
  ],
  [
    'parts of other shapes',
    () => concat([t([2, 3]), t([3, 4])], 1),
    'shapes differ outside of axis 1',
  ],
  ['nothing to join', () => concat([], 0), 'needs at least one tensor'],
  [
    'sizes that do not add up',
    () => split(t([2, 6]), [2, 3], 1),
    'sizes [2, 3] add up to 5, not to dimension 6',
  ],
  ['a cut of nothing', () => slice(t([4]), 0, 2, 2), '[2, 2) is outside of [0, 4)'],
  ['a cut of a symbol', () => slice(t(['S']), 0, 0, 2), 'axis 0 must have a known length'],
  ['an axis of more than one', () => squeeze(t([2, 3]), [0]), 'dimension 2 at axis 0 is not 1'],
  ['one new axis twice', () => unsqueeze(t([2]), [0, 0]), 'axes [0, 0] name one axis twice'],
  ['an axis outside', () => softmax(t([2, 3]), 2), 'axis 2 is outside of shape [2, 3]'],
  ['a fill of an unknown shape', () => full(['B'], 0), "'B' is no dimension of an input here"],
  ['indices of floats', () => gather(t([4, 2]), t([3])), 'indices must be i64 or i32, but is f32'],
  [
    'indices of another rank',
    () => gatherElements(t([4, 2]), t([3], 'i64'), 0),
    'indices must have as many axes as x',
  ],
  [
    'tuples that are too long',
    () => gatherNd(t([4, 2]), t([5, 3], 'i64')),
    'the last dimension of indices [5, 3] must be 1 to 2',
  ],
  [
    'updates of another shape',
    () => scatterNd(t([4, 2]), t([3, 1], 'i64'), t([3, 3])),
    'updates must have shape [3, 2], but has [3, 3]',
  ],
  [
    'scales of another blocking',
    () =>
      gatherBlockQuantized(t([5, 32], 'u8'), t([2], 'i64'), t([5, 4]), { bits: 8, blockSize: 16 }),
    'scales must have shape [5, 2], but has [5, 4]',
  ],
  ['no axes to reduce', () => reduceSum(t([2, 3]), []), 'axes must name at least one axis'],
  ['an axis to fold outside', () => argMax(t([2, 3]), -3), 'axis -3 is outside of shape [2, 3]'],
  ['the top of an axis outside', () => topK(t([2, 3]), 1, 2), 'axis 2 is outside of shape [2, 3]'],
  [
    'a gain of another length',
    () => rmsNorm(t(['B', 8]), t([4]), 1e-5),
    'gain must have shape [8], but has [4]',
  ],
  [
    'a residual of another shape',
    () => skipRmsNorm(t([2, 8]), t([3, 8]), t([8]), 1e-5),
    'skip must have shape [2, 8], but has [3, 8]',
  ],
  [
    'four axes for the residual norm',
    () => skipRmsNorm(t([1, 1, 2, 8]), t([1, 1, 2, 8]), t([8]), 1e-5),
    'x must have 2 or 3 dimensions',
  ],
  [
    'heads that do not fit the table',
    () =>
      rotaryEmbedding(t(['B', 'S', 12]), {
        positions: t(['B', 'S'], 'i64'),
        cos: t([9, 4]),
        sin: t([9, 4]),
      }),
    'the last dimension 12 is not made of heads of 8',
  ],
  [
    'positions of another batch',
    () =>
      rotaryEmbedding(t(['B', 'S', 16]), {
        positions: t(['B', 'T'], 'i64'),
        cos: t([9, 4]),
        sin: t([9, 4]),
      }),
    'positions must have shape [B, S], but has [B, T]',
  ],
];

describe('an operator refuses', () => {
  it.each(CASES)('%s', (_, build, message) => {
    expect(build).toThrow(ShapeError);
    expect(build).toThrow(message);
  });

  it('a constant with another number of elements than its shape has', () => {
    expect(() => constant('f32', [2, 2], [1, 2, 3])).toThrow(
      'constant f32[2, 2] needs 4 elements, not 3',
    );
  });

  it('a constant in the typed array of another type', () => {
    expect(() => constant('i8', [2], new Float32Array(2))).toThrow(
      'a constant of i8 needs numbers or Int8Array',
    );
    expect(() => constant('f16', [1], [0.5])).toThrow(
      'a constant of f16 needs its bits, in a Uint16Array',
    );
  });

  it('a shape with a dimension that is none', () => {
    expect(() => input('x', 'f32', ['B', -1])).toThrow('dimension -1 is not a whole number >= 0');
    expect(() => i64([0.5])).toThrow(RangeError);
  });
});
