import { expect, it } from 'vitest';
import { untilDeadline } from '../../src/answers/deadline.ts';
import type { EngineEvent } from '../../src/inference/engine-protocol.ts';
import { handClock } from '../support/clocks/hand-clock.ts';

/** Says these words, and then nothing until it is told to end. */
function speaker(...words: readonly string[]) {
  return async function* (signal: AbortSignal): AsyncGenerator<EngineEvent> {
    for (const text of words) yield { kind: 'text', text };
    if (!signal.aborted)
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    const text = words.join('');
    const counts = { promptTokens: 1, completionTokens: words.length };
    yield { kind: 'done', finishReason: 'CANCELLED', text, ...counts };
  };
}

async function hear(events: AsyncIterable<EngineEvent>): Promise<EngineEvent | undefined> {
  let last: EngineEvent | undefined;
  for await (const event of events) last = event;
  return last;
}

const never = new AbortController().signal;

it('ends an answer that has begun with what there is of it', async () => {
  const clock = handClock(0);
  const heard = hear(
    untilDeadline(speaker('The', ' plumber'), { deadlineMs: 500, clock, signal: never }),
  );
  await clock.advance(500);
  expect(await heard).toMatchObject({ finishReason: 'CANCELLED', text: 'The plumber' });
});

it('refuses an answer that has not begun, for later', async () => {
  const clock = handClock(0);
  const heard = hear(untilDeadline(speaker(), { deadlineMs: 500, clock, signal: never }));
  const refused = expect(heard).rejects.toMatchObject({
    code: 'OVERLOADED',
    message: 'The answer did not begin within 500 ms.',
    retryAfterMs: 500,
  });
  await clock.advance(500);
  await refused;
});

it('leaves an answer alone whose caller left before', async () => {
  const clock = handClock(0);
  const call = new AbortController();
  const heard = hear(untilDeadline(speaker(), { deadlineMs: 500, clock, signal: call.signal }));
  call.abort();
  expect(await heard).toMatchObject({ finishReason: 'CANCELLED', text: '' });
});

it('ends no answer without a deadline', async () => {
  const call = new AbortController();
  const heard = hear(
    untilDeadline(speaker('The'), {
      deadlineMs: undefined,
      clock: handClock(0),
      signal: call.signal,
    }),
  );
  call.abort();
  expect(await heard).toMatchObject({ text: 'The' });
});
