import fc from 'fast-check';
import { expect, test } from 'vitest';
import { tokenLogprob } from '../../../src/inference/core/logprobs.ts';

const textOf = (id: number) => `<${id}>`;

test('are the logarithms of a softmax, whatever the logits', () => {
  const logits = fc.float32Array({ minLength: 1, maxLength: 30, noNaN: true, min: -80, max: 80 });
  fc.assert(
    fc.property(logits, fc.nat(), fc.nat(40), (row, pick, count) => {
      const chosen = pick % row.length;
      const all = Array.from(row);
      const total = all.reduce((sum, logit) => sum + Math.exp(logit), 0);
      const expected = all.map((logit, id) => ({ id, logit, logprob: logit - Math.log(total) }));
      const told = tokenLogprob(row, chosen, { count, textOf });
      expect(told.token).toBe(textOf(chosen));
      expect(told.logprob).toBeCloseTo(expected[chosen]?.logprob ?? Number.NaN, 9);
      const top = expected.sort((a, b) => b.logit - a.logit || a.id - b.id).slice(0, count);
      expect(told.topLogprobs.map(({ token }) => token)).toEqual(top.map(({ id }) => textOf(id)));
      for (const [i, { logprob }] of told.topLogprobs.entries())
        expect(logprob).toBeCloseTo(top[i]?.logprob ?? Number.NaN, 9);
    }),
  );
});

test('stand far apart without overflow', () => {
  const { logprob, topLogprobs } = tokenLogprob(Float32Array.of(-3e4, 3e4, 0), 0, {
    count: 1,
    textOf,
  });
  expect(logprob).toBe(-6e4);
  expect(topLogprobs).toEqual([{ token: '<1>', logprob: 0 }]);
});
