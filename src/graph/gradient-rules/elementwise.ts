import { DTYPES } from '../dtype.ts';
import {
  add,
  cast,
  div,
  greater,
  less,
  mul,
  neg,
  sigmoid,
  sign,
  sub,
  where,
} from '../ops/elementwise.ts';
import { type GradientRules, NOT_DIFFERENTIABLE } from './rule.ts';

/** Gradient rules of the operators that work element by element. Broadcasting is undone by the caller. */
export const ELEMENTWISE_GRADIENTS = {
  Add: (_, [g]) => [g, g],
  Sub: (_, [g]) => [g, neg(g)],
  Mul: ({ inputs: [a, b] }, [g]) => [mul(g, b), mul(g, a)],
  Div: ({ inputs: [, b], outputs: [y] }, [g]) => [div(g, b), neg(div(mul(g, y), b))],
  Max: ({ inputs: [a, b] }, [g]) => [where(greater(a, b), g, 0), where(greater(a, b), 0, g)],
  Min: ({ inputs: [a, b] }, [g]) => [where(less(a, b), g, 0), where(less(a, b), 0, g)],
  Equal: NOT_DIFFERENTIABLE,
  Less: NOT_DIFFERENTIABLE,
  Greater: NOT_DIFFERENTIABLE,
  Where: ({ inputs: [condition] }, [g]) => [null, where(condition, g, 0), where(condition, 0, g)],
  Neg: (_, [g]) => [neg(g)],
  Abs: ({ inputs: [x] }, [g]) => [mul(g, sign(x))],
  Sign: NOT_DIFFERENTIABLE,
  Exp: ({ outputs: [y] }, [g]) => [mul(g, y)],
  Log: ({ inputs: [x] }, [g]) => [div(g, x)],
  Sqrt: ({ outputs: [y] }, [g]) => [div(mul(g, 0.5), y)],
  Reciprocal: ({ outputs: [y] }, [g]) => [neg(mul(g, mul(y, y)))],
  Sigmoid: ({ outputs: [y] }, [g]) => [mul(g, mul(y, sub(1, y)))],
  Softplus: ({ inputs: [x] }, [g]) => [mul(g, sigmoid(x))],
  Tanh: ({ outputs: [y] }, [g]) => [mul(g, sub(1, mul(y, y)))],
  // y = x s(ax), so y' = s + a y (1 - s)
  QuickGelu: ({ inputs: [x], attributes: { alpha }, outputs: [y] }, [g]) => {
    const s = sigmoid(mul(x, alpha));
    return [mul(g, add(s, mul(mul(y, alpha), sub(1, s))))];
  },
  Identity: (_, [g]) => [g],
  Cast: ({ inputs: [x] }, [g]) => {
    if (DTYPES[x.dtype].isFloat) return [cast(g, x.dtype)];
    throw new TypeError(`${x.dtype} is not differentiable`);
  },
} satisfies Partial<GradientRules>;
