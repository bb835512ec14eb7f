import fc from 'fast-check';
import { expect, it } from 'vitest';
import { clipping, newAdamW, stepAdamW } from '../../../src/training/core/adamw.ts';

it('takes a first step of one learning rate against the sign of the gradient', () => {
  const theta = Float32Array.of(1, 1, 1);
  stepAdamW(theta, Float32Array.of(1e-3, -5, 0), newAdamW(3), {
    learningRate: 0.1,
    weightDecay: 0,
  });
  expect(theta[0]).toBeCloseTo(0.9, 5);
  expect(theta[1]).toBeCloseTo(1.1, 5);
  expect(theta[2]).toBe(1);
});

it('follows the published formula over many steps', () => {
  // the paper's algorithm 2 in plain doubles, one parameter, with torch.optim.AdamW's order of operations
  const options = { learningRate: 0.02, weightDecay: 0.1 };
  const theta = Float32Array.of(0.7);
  const state = newAdamW(1);
  let [x, m, v] = [0.7, 0, 0];
  for (let t = 1; t <= 50; t += 1) {
    const g = Math.sin(t) + 0.3;
    stepAdamW(theta, Float32Array.of(g), state, options);
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    x -= options.learningRate * options.weightDecay * x;
    x -= (options.learningRate * (m / (1 - 0.9 ** t))) / (Math.sqrt(v / (1 - 0.999 ** t)) + 1e-8);
    expect(theta[0]).toBeCloseTo(x, 5);
  }
});

it('decays weights that get no gradient, by learning rate times decay', () => {
  const theta = Float32Array.of(2);
  stepAdamW(theta, Float32Array.of(0), newAdamW(1), { learningRate: 0.5, weightDecay: 0.1 });
  expect(theta[0]).toBeCloseTo(1.9, 6);
});

it('clips a gradient to the given length and keeps its direction', () => {
  const values = fc.float({ noNaN: true, min: -100, max: 100 });
  fc.assert(
    fc.property(
      fc.array(values, { minLength: 1 }),
      fc.double({ noNaN: true, min: 0.1, max: 10 }),
      (list, maxNorm) => {
        const gradient = Float32Array.from(list);
        const { norm, scale } = clipping(gradient, maxNorm);
        expect(norm).toBeCloseTo(Math.hypot(...gradient), 3);
        expect(scale).toBe(norm > maxNorm ? maxNorm / norm : 1);
        expect(norm * scale).toBeLessThanOrEqual(maxNorm * (1 + 1e-12));
        const stepOf = (given: Float32Array, gradientScale?: number) => {
          const [theta, state] = [new Float32Array(list.length), newAdamW(list.length)];
          const more = gradientScale === undefined ? {} : { gradientScale };
          stepAdamW(theta, given, state, { learningRate: 0.1, weightDecay: 0, ...more });
          return { theta, state };
        };
        const clipped = gradient.map((value) => value * scale);
        expect(stepOf(gradient, scale)).toEqual(stepOf(clipped));
      },
    ),
  );
});
