import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must } from '../../../src/lib/errors.ts';
import { floatDecodeWeights, int8DecodeWeights } from '../../../src/model/decode/decode-weights.ts';
import { type DecodeSession, openDecodeSession } from '../../support/model/decode-session.ts';
import { perplexity } from '../../support/model/perplexity.ts';
import { realBase } from '../../support/model/real-base.ts';

/** What transformers on PyTorch makes of the same files (test/oracle/logits.py). */
interface Recorded {
  readonly spacedIds: readonly number[];
  readonly prompts: readonly {
    readonly ids: readonly number[];
    readonly positions: readonly {
      readonly spaced: readonly number[];
      readonly largest: readonly number[];
      readonly largestIds: readonly number[];
    }[];
  }[];
  readonly text: { readonly ids: readonly number[]; readonly perplexity: number };
}

const recorded: Recorded = JSON.parse(
  readFileSync(new URL('../../oracle/recorded/logits.json', import.meta.url), 'utf8'),
);

describe.skipIf(realBase === null)('the decode graph of the default base', () => {
  let floats: DecodeSession;
  let integers: DecodeSession;

  beforeAll(async () => {
    const base = must(realBase, 'the default base');
    floats = await openDecodeSession(base, floatDecodeWeights(base));
    integers = await openDecodeSession(base, await int8DecodeWeights(base, 'i8'));
    // the 8-bit weights are made here on the first run
  });
  afterAll(async () => {
    await floats.close();
    await integers.close();
  });

  test('gives in floats what transformers gives, within a thousandth of the largest logit', async () => {
    expect(recorded.prompts).toHaveLength(5);
    for (const { ids, positions } of recorded.prompts) {
      const logits = await floats.logits(ids);
      for (const [s, position] of positions.entries()) {
        const row = must(logits[s], 'logits');
        const places = [...recorded.spacedIds, ...position.largestIds];
        const expected = [...position.spaced, ...position.largest];
        const largest = Math.max(...expected.map(Math.abs));
        for (const [i, id] of places.entries()) {
          const difference = Math.abs(must(row[id], 'a logit') - must(expected[i], 'a logit'));
          expect(difference).toBeLessThan(1e-3 * largest);
        }
      }
    }
  });

  test('has the perplexity that transformers computes in floats, and within 1% of it in 8 bits', async () => {
    const { ids, perplexity: expected } = recorded.text;
    expect(Math.abs((await perplexity(floats, ids)) / expected - 1)).toBeLessThan(1e-4);
    expect(Math.abs((await perplexity(integers, ids)) / expected - 1)).toBeLessThan(0.01);
  });
});
