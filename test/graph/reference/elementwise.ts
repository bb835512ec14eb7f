import { mapElements, type NdArray } from './array.ts';
import type { References } from './rule.ts';

const elementwise =
  (apply: (...elements: number[]) => number) =>
  (inputs: readonly NdArray[]): readonly NdArray[] => [mapElements(inputs, apply)];

const binary = (apply: (a: number, b: number) => number) =>
  elementwise((a = 0, b = 0) => apply(a, b));
const unary = (apply: (x: number) => number) => elementwise((x = 0) => apply(x));

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** The naive reference of the operators that work element by element. */
export const ELEMENTWISE_REFERENCE = {
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: binary((a, b) => a / b),
  Max: binary(Math.max),
  Min: binary(Math.min),
  Equal: binary((a, b) => Number(a === b)),
  Less: binary((a, b) => Number(a < b)),
  Greater: binary((a, b) => Number(a > b)),
  Where: ([condition, a, b]) => [
    mapElements([condition, a, b], (holds = 0, x = 0, y = 0) => (holds ? x : y)),
  ],
  Neg: unary((x) => -x),
  Abs: unary(Math.abs),
  Sign: unary(Math.sign),
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Sqrt: unary(Math.sqrt),
  Reciprocal: unary((x) => 1 / x),
  Sigmoid: unary(sigmoid),
  Softplus: unary((x) => Math.log(1 + Math.exp(x))),
  Tanh: unary(Math.tanh),
  QuickGelu: ([x], { alpha }) => [mapElements([x], (v = 0) => v * sigmoid(alpha * v))],
  Identity: unary((x) => x),
  Cast: ([x], { to }) => {
    if (to === 'f32') return [x];
    return [mapElements([x], (v = 0) => (to === 'bool' ? Number(v !== 0) : Math.trunc(v)))];
  },
} satisfies Partial<References>;
