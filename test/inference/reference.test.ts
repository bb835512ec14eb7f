import { afterAll, beforeAll, expect, test } from 'vitest';
import { readPeftFolder } from '../../src/adapters/peft.ts';
import { type Engine, startEngine } from '../../src/inference/engine-client.ts';
import type { EngineRequest } from '../../src/inference/engine-protocol.ts';
import {
  answerOf,
  type EngineFixture,
  engineFixture,
  engineRequest,
  promptOf,
} from '../support/inference/engine-fixture.ts';
import { randomCheckpoint, SMALL_CONFIG } from '../support/model/random-llama.ts';
import { referenceLogits } from '../support/model/reference-llama.ts';

let fixture: EngineFixture;
let engine: Engine;
beforeAll(async () => {
  fixture = await engineFixture();
  engine = await startEngine({ baseDir: fixture.base.dir, threads: 1 });
});
afterAll(async () => {
  await engine.close();
  await fixture.remove();
});

/** Weights of 8 bits move the logarithms of this base by 0.01 (median) to 0.07 (largest). */
const TOLERANCE = 0.15;

const answer = (request: EngineRequest) => answerOf(engine, request);

function logSoftmax(logits: Float64Array): Float64Array {
  const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return logits.map((logit) => logit - total);
}

// The whole way: process, scheduler, chunks, cache, batch and adapters against a decoder that has none of them.
test('an engine finds its tokens as likely as the plain float64 decoder does', async () => {
  const requests = [3, 64, 70].map((length, i) =>
    engineRequest({
      promptIds: promptOf(length, i),
      adapter: [null, fixture.adapters[0], fixture.adapters[4]][i] ?? null,
      ...{ maxTokens: 5, topLogprobs: 20, userId: `user ${i}` },
    }),
  );
  const answers = await Promise.all(requests.map(answer));
  const model = randomCheckpoint(SMALL_CONFIG);
  for (const [i, { promptIds, adapter }] of requests.entries()) {
    const lora = adapter === null ? null : await readPeftFolder(adapter.dir, fixture.base);
    const ids = [...promptIds];
    for (const { token, topLogprobs } of answers[i]?.logprobs ?? []) {
      const expected = logSoftmax(referenceLogits(model, ids, lora).at(-1) ?? new Float64Array());
      // a single byte of more than ASCII shows as U+FFFD and does not tell which it is
      const readable = topLogprobs.filter((one) => one.token !== '\ufffd' && one.token !== '');
      expect(readable.length).toBeGreaterThan(3);
      for (const one of readable) {
        const difference = one.logprob - (expected[one.token.charCodeAt(0) + 2] ?? Number.NaN);
        expect(Math.abs(difference)).toBeLessThan(TOLERANCE);
      }
      if (token === '\ufffd' || token === '') break;
      ids.push(token.charCodeAt(0) + 2);
    }
  }
});
