import * as op from '../../../src/graph/ops/elementwise.ts';
import { declared, given, opCase, positive, real } from '../op-case.ts';

/** Cases of the operators that work element by element. */
export const ELEMENTWISE_CASES = {
  Add: [
    opCase('for one shape', [real(2, 3), real(2, 3)], op.add),
    opCase('when a row repeats', [real(2, 3), real(3)], op.add),
    opCase('when both repeat', [real(2, 1, 3), real(4, 1)], op.add),
    opCase('for a number', [real(2, 3)], (x) => op.add(x, 2.5)),
    opCase('for symbols', [declared(real(2, 3), ['B', 3]), declared(real(2, 1), ['B', 1])], op.add),
    opCase('for i64', [given('i64', [3], [1, -2, 3]), given('i64', [1], [10])], op.add),
  ],
  Sub: [
    opCase('when a row repeats', [real(2, 3), real(3)], op.sub),
    opCase('when a column repeats', [real(2, 1), real(2, 3)], op.sub),
  ],
  Mul: [
    opCase('when a column repeats', [real(2, 3), real(2, 1)], op.mul),
    opCase('when a scalar repeats', [real(), real(2, 3)], op.mul),
    opCase('for a square', [real(2, 3)], (x) => op.mul(x, x)),
  ],
  Div: [opCase('when a row repeats', [real(2, 3), positive(3)], op.div)],
  Max: [opCase('when a row repeats', [real(2, 3), real(3)], op.max)],
  Min: [opCase('when a column repeats', [real(2, 3), real(2, 1)], op.min)],
  Equal: [
    opCase('for whole numbers', [given('i64', [3], [1, 2, 3]), given('i64', [1], [2])], op.equal),
  ],
  Less: [opCase('when a row repeats', [real(2, 3), real(3)], op.less)],
  Greater: [opCase('when a row repeats', [real(2, 3), real(3)], op.greater)],
  Where: [
    opCase(
      'when a row repeats',
      [given('i64', [2, 3], [1, 0, 1, 0, 0, 1]), real(2, 3), real(3)],
      (c, a, b) => op.where(op.greater(c, 0), a, b),
    ),
  ],
  Neg: [opCase('for floats', [real(2, 3)], op.neg)],
  Abs: [opCase('for either sign', [real(2, 3)], op.abs)],
  Sign: [opCase('for either sign', [real(2, 3)], op.sign)],
  Exp: [opCase('for either sign', [real(2, 3)], op.exp)],
  Log: [opCase('for positive numbers', [positive(2, 3)], op.log)],
  Sqrt: [opCase('for positive numbers', [positive(2, 3)], op.sqrt)],
  Reciprocal: [opCase('for positive numbers', [positive(2, 3)], op.reciprocal)],
  Sigmoid: [opCase('for either sign', [real(2, 3)], op.sigmoid)],
  Softplus: [opCase('for either sign', [real(2, 3)], op.softplus)],
  Tanh: [opCase('for either sign', [real(2, 3)], op.tanh)],
  QuickGelu: [opCase('as silu', [real(2, 3)], op.silu)],
  Identity: [opCase('for floats', [real(2, 3)], op.identity)],
  Cast: [
    opCase('from i64 to f32', [given('i64', [3], [1, -2, 3])], (x) => op.cast(x, 'f32')),
    opCase('from f32 to i32, towards zero', [given('f32', [4], [1.7, -1.7, 0.2, 3])], (x) =>
      op.cast(x, 'i32'),
    ),
    opCase('from i64 to bool', [given('i64', [3], [0, 2, -1])], (x) => op.cast(x, 'bool')),
  ],
};
