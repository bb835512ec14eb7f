// Operators that work element by element. Two operands broadcast as in numpy; a plain number stands for a scalar.

import type { DType } from '../dtype.ts';
import type { Tensor } from '../ir.ts';
import { applyOp } from '../node.ts';
import { scalar } from '../tensor.ts';

/** A tensor, or a number that takes the element type of the other operand. */
export type Operand = Tensor | number;

type BinaryOp = 'Add' | 'Sub' | 'Mul' | 'Div' | 'Max' | 'Min' | 'Equal' | 'Less' | 'Greater';

function operands(a: Operand, b: Operand): readonly [Tensor, Tensor] {
  if (typeof a === 'number') {
    return typeof b === 'number' ? [scalar(a), scalar(b)] : [scalar(a, b.dtype), b];
  }
  return [a, typeof b === 'number' ? scalar(b, a.dtype) : b];
}

const binary =
  (op: BinaryOp) =>
  (a: Operand, b: Operand): Tensor =>
    applyOp(op, operands(a, b), {})[0];

/** a + b. */
export const add = binary('Add');
/** a - b. */
export const sub = binary('Sub');
/** a * b. */
export const mul = binary('Mul');
/** a / b; whole numbers truncate. */
export const div = binary('Div');
/** The larger of a and b; at a tie the gradient goes to b. */
export const max = binary('Max');
/** The smaller of a and b; at a tie the gradient goes to b. */
export const min = binary('Min');
/** a = b, as bool. */
export const equal = binary('Equal');
/** a < b, as bool. */
export const less = binary('Less');
/** a > b, as bool. */
export const greater = binary('Greater');

/** Takes from a where the bool condition holds, else from b. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const [ifTrue, ifFalse] = operands(a, b);
  return applyOp('Where', [condition, ifTrue, ifFalse], {})[0];
}

/** -x. */
export const neg = (x: Tensor): Tensor => applyOp('Neg', [x], {})[0];
/** |x|. */
export const abs = (x: Tensor): Tensor => applyOp('Abs', [x], {})[0];
/** -1, 0 or 1. */
export const sign = (x: Tensor): Tensor => applyOp('Sign', [x], {})[0];
/** e^x. */
export const exp = (x: Tensor): Tensor => applyOp('Exp', [x], {})[0];
/** The natural logarithm. */
export const log = (x: Tensor): Tensor => applyOp('Log', [x], {})[0];
/** The square root. */
export const sqrt = (x: Tensor): Tensor => applyOp('Sqrt', [x], {})[0];
/** 1 / x. */
export const reciprocal = (x: Tensor): Tensor => applyOp('Reciprocal', [x], {})[0];
/** 1 / (1 + e^-x). */
export const sigmoid = (x: Tensor): Tensor => applyOp('Sigmoid', [x], {})[0];
/** log(1 + e^x). */
export const softplus = (x: Tensor): Tensor => applyOp('Softplus', [x], {})[0];
/** The hyperbolic tangent. */
export const tanh = (x: Tensor): Tensor => applyOp('Tanh', [x], {})[0];
/** x * sigmoid(x), f32 only: one pass instead of two. */
export const silu = (x: Tensor): Tensor => applyOp('QuickGelu', [x], { alpha: 1 })[0];
/** x itself, as a node of its own. */
export const identity = (x: Tensor): Tensor => applyOp('Identity', [x], {})[0];

/** x in another element type; floats truncate towards zero when made whole. */
export function cast(x: Tensor, dtype: DType): Tensor {
  return x.dtype === dtype ? x : applyOp('Cast', [x], { to: dtype })[0];
}
