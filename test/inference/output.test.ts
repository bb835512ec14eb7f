import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Engine, startEngine } from '../../src/inference/engine-client.ts';
import type { EngineRequest } from '../../src/inference/engine-protocol.ts';
import { readOutputShape } from '../../src/modes/read-output-shape.ts';
import { compileSchema } from '../../src/modes/schema-check.ts';
import {
  answerOf,
  type EngineFixture,
  engineFixture,
  engineRequest,
  promptOf,
} from '../support/inference/engine-fixture.ts';

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

const schema = {
  type: 'object',
  properties: {
    subject: { type: 'string', minLength: 1, maxLength: 6 },
    urgent: { type: 'boolean' },
    day: { enum: ['monday', 'friday', null] },
    hours: { type: 'array', items: { type: 'integer', minimum: 0, maximum: 23 }, maxItems: 2 },
  },
  required: ['subject', 'urgent', 'day'],
  additionalProperties: false,
};
const check = compileSchema(schema, 'output');
const output = readOutputShape(schema);

const answer = (request: EngineRequest) => answerOf(engine, request);

// A base of random numbers has never seen JSON, so whatever order there is comes from the shape alone.
test('every finished answer fits its schema, whatever the sampling, and is the same in company', async () => {
  const requests = Array.from({ length: 60 }, (_, i) =>
    engineRequest({
      output,
      promptIds: promptOf(5 + i, i),
      adapter: fixture.adapters[i % 6] ?? null,
      maxTokens: 160,
      temperature: [0, 0.7, 4][i % 3] ?? 0,
      topP: [1, 0.5, 0.01][i % 4] ?? 1,
      seed: i,
      userId: `user ${i % 5}`,
    }),
  );
  const together = await Promise.all(requests.map(answer));
  for (const { text, finishReason } of together) {
    expect(finishReason).toBe('STOP');
    expect(check(JSON.parse(text))).toBeNull();
  }
  expect(new Set(together.map(({ text }) => text)).size).toBeGreaterThan(30);
  for (const i of [0, 1, 2, 29])
    expect(await answer(requests[i] as EngineRequest)).toEqual(together[i]);
});

test('an answer that the token limit cuts says so', async () => {
  const { text, finishReason, completionTokens } = await answer(
    engineRequest({ output, maxTokens: 12 }),
  );
  expect({ finishReason, completionTokens }).toEqual({
    finishReason: 'LENGTH',
    completionTokens: 12,
  });
  expect(() => JSON.parse(text)).toThrow(SyntaxError);
});

test('how likely a token was is told of the free choice', async () => {
  const request = engineRequest({ output, maxTokens: 3, topLogprobs: 1 });
  const { logprobs = [] } = await answer(request);
  const [free] = (await answer(engineRequest({ maxTokens: 1, topLogprobs: 1 }))).logprobs ?? [];
  expect(logprobs[0]?.token).toBe('{');
  expect(logprobs[0]?.topLogprobs).toEqual(free?.topLogprobs);
  expect(logprobs[0]?.logprob).toBeLessThan(free?.logprob ?? 0);
});
