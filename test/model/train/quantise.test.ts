import fc from 'fast-check';
import { expect, test } from 'vitest';
import { quantiseRows } from '../../../src/model/train/quantise.ts';

const matrix = fc
  .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }))
  .chain(([outputs, inputs]) =>
    fc.record({
      outputs: fc.constant(outputs),
      inputs: fc.constant(inputs),
      weights: fc.float32Array({
        minLength: outputs * inputs,
        maxLength: outputs * inputs,
        noNaN: true,
        min: -(2 ** 100),
        max: 2 ** 100,
      }),
    }),
  );

test('each weight is within half a step of what its 8 bits mean, and the largest is kept', () => {
  fc.assert(
    fc.property(matrix, ({ outputs, inputs, weights }) => {
      const { values, scales } = quantiseRows(weights, outputs, inputs);
      for (let o = 0; o < outputs; o += 1) {
        const scale = scales[o] as number;
        // the second term: weights so small that float32 cannot hold their scale
        const bound = scale * 0.50002 + 2 ** -140;
        for (let i = 0; i < inputs; i += 1) {
          const weight = weights[o * inputs + i] as number;
          const value = values[i * outputs + o] as number;
          expect(Math.abs(value)).toBeLessThanOrEqual(127);
          expect(Math.abs(value * scale - weight)).toBeLessThanOrEqual(bound);
        }
      }
    }),
  );
});

test('values are transposed to [in, out] and ties go to the even number', () => {
  const weights = Float32Array.of(127, 0.5, 1.5, -254, 3, -5);
  const { values, scales } = quantiseRows(weights, 2, 3);
  expect([...scales]).toEqual([1, 2]);
  expect([...values]).toEqual([127, -127, 0, 2, 2, -2]);
});

test('an output of zeros has scale zero', () => {
  const { values, scales } = quantiseRows(new Float32Array(4), 2, 2);
  expect([...scales, ...values]).toEqual([0, 0, 0, 0, 0, 0]);
});

test('a weight that is not a number is refused, not rounded', () => {
  expect(() => quantiseRows(Float32Array.of(1, Number.NaN), 1, 2)).toThrow(
    'output 0 has the weight NaN',
  );
});
