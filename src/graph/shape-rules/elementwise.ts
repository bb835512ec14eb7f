import { addDims, type Dim, multiplyDims } from '../dim.ts';
import type { DType } from '../dtype.ts';
import type { Tensor, TensorType } from '../ir.ts';
import { broadcastShapes, requireDType, requireFloat, requireSameDType } from './require.ts';
import type { ShapeRules } from './rule.ts';

const arithmetic = ([a, b]: readonly [Tensor, Tensor]): readonly TensorType[] => {
  requireSameDType(a, b);
  return [{ dtype: a.dtype, shape: broadcastShapes(a.shape, b.shape) }];
};

/** Arithmetic on dimensions that are known, symbols included. */
const dimArithmetic =
  (combine: (a: Dim, b: Dim) => Dim) =>
  (inputs: readonly [Tensor, Tensor]): readonly TensorType[] => {
    const [left, right] = inputs.map((x) => x.contents);
    const types = arithmetic(inputs);
    if (!left || !right || left.length !== right.length) return types;
    // A -1 is a mark for Reshape, no dimension.
    if ([...left, ...right].some((dim) => typeof dim === 'number' && dim < 0)) return types;
    const contents = left.map((dim, at) => combine(dim, right[at] ?? 1));
    return types.map((type) => ({ ...type, contents }));
  };

const comparison = ([a, b]: readonly [Tensor, Tensor]): readonly TensorType[] => {
  requireSameDType(a, b);
  return [{ dtype: 'bool', shape: broadcastShapes(a.shape, b.shape) }];
};

const floatUnary = ([x]: readonly [Tensor]): readonly TensorType[] => {
  requireFloat(x, 'x');
  return [{ dtype: x.dtype, shape: x.shape }];
};

const SIGNED: readonly DType[] = ['f32', 'f16', 'i64', 'i32', 'i8'];

const signedUnary = ([x]: readonly [Tensor]): readonly TensorType[] => {
  requireDType(x, 'x', SIGNED);
  return [{ dtype: x.dtype, shape: x.shape }];
};

/** Shape rules of the operators that work element by element. */
export const ELEMENTWISE_SHAPES = {
  Add: dimArithmetic(addDims),
  Sub: arithmetic,
  Mul: dimArithmetic(multiplyDims),
  Div: arithmetic,
  Max: arithmetic,
  Min: arithmetic,
  Equal: comparison,
  Less: comparison,
  Greater: comparison,
  Where: ([condition, a, b]) => {
    requireDType(condition, 'condition', ['bool']);
    requireSameDType(a, b);
    const shape = broadcastShapes(condition.shape, broadcastShapes(a.shape, b.shape));
    return [{ dtype: a.dtype, shape }];
  },
  Neg: signedUnary,
  Abs: signedUnary,
  Sign: signedUnary,
  Exp: floatUnary,
  Log: floatUnary,
  Sqrt: floatUnary,
  Reciprocal: floatUnary,
  Sigmoid: floatUnary,
  Softplus: floatUnary,
  Tanh: floatUnary,
  QuickGelu: floatUnary,
  Identity: ([x]) => [{ dtype: x.dtype, shape: x.shape, contents: x.contents }],
  Cast: ([x], { to }) => [{ dtype: to, shape: x.shape }],
} satisfies Partial<ShapeRules>;
