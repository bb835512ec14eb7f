import { expect, test } from 'vitest';
import { kvBytesPerToken } from '../../src/inference/core/kv-block.ts';
import { engineLimits } from '../../src/inference/engine-limits.ts';
import { SMALL_CONFIG } from '../support/model/random-llama.ts';

const perToken = kvBytesPerToken(SMALL_CONFIG);

test.each([
  { contextLength: 512, tokens: 4000 },
  { contextLength: 300, tokens: 100_000 },
  { contextLength: 2000, tokens: 8000 },
  { contextLength: 8192, tokens: 30_000 },
])('rows and lanes stay within $tokens tokens at a context of $contextLength', (given) => {
  const config = { ...SMALL_CONFIG, contextLength: given.contextLength };
  const { classes } = engineLimits(config, given.tokens * perToken);
  const planned = classes.reduce(
    (sum, one) => sum + one.capacityTokens + one.lanes * one.maxTokens,
    0,
  );
  expect(planned).toBeLessThanOrEqual(given.tokens);
  expect(classes.at(-1)?.maxTokens).toBeGreaterThanOrEqual(given.contextLength);
  for (const one of classes) expect(one.capacityTokens).toBeGreaterThanOrEqual(one.maxTokens);
});

test('memory for no row at all is refused, with the least that will do', () => {
  const config = { ...SMALL_CONFIG, contextLength: 512 };
  expect(() => engineLimits(config, 1000)).toThrow('give it at least 2 MiB');
  expect(engineLimits(config, 5 * 512 * perToken).classes).toHaveLength(1);
});
