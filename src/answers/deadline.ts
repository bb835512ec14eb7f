// An answer's end in time.

import type { EngineEvent } from '../inference/engine-protocol.ts';
import { type Clock, rest } from '../lib/clock.ts';
import { AppError } from '../lib/errors.ts';

/** What ends an answer early. */
export interface Deadline {
  /** From now; undefined: never. */
  readonly deadlineMs: number | undefined;
  readonly clock: Clock;
  /** The caller's own. */
  readonly signal: AbortSignal;
}

/** What `ask` says, until the time is up. An answer that has begun by then ends as CANCELLED with what there is of it.
 *  Throws OVERLOADED when there is not a single token by then: nothing was answered, and it may be asked again. */
export async function* untilDeadline(
  ask: (signal: AbortSignal) => AsyncIterable<EngineEvent>,
  { deadlineMs, clock, signal }: Deadline,
): AsyncGenerator<EngineEvent> {
  if (deadlineMs === undefined) return yield* ask(signal);
  const due = new AbortController();
  const over = new AbortController();
  const timer = rest(clock, deadlineMs, over.signal).then((isDue) => isDue && due.abort());
  try {
    for await (const event of ask(AbortSignal.any([signal, due.signal]))) {
      const isEmpty = event.kind === 'done' && event.completionTokens === 0;
      if (isEmpty && due.signal.aborted && !signal.aborted) throw tooLate(deadlineMs);
      yield event;
    }
  } finally {
    over.abort();
    await timer;
  }
}

function tooLate(deadlineMs: number): AppError {
  return new AppError('OVERLOADED', `The answer did not begin within ${deadlineMs} ms.`, {
    retryAfterMs: deadlineMs,
  });
}
