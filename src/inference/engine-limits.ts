// How much an engine takes on: rows, queue and memory, from the model's size and a number of bytes.

import { StartError } from '../lib/start-error.ts';
import type { LlamaConfig } from '../model/llama-config.ts';
import { bucketOf, kvBytesPerToken } from './core/kv-block.ts';
import type { LengthClass, SchedulerLimits } from './scheduler.ts';

/** Where short rows end. A run costs each row the longest one's length, but a run more costs reading all weights again:
 *  below this, padding is the cheaper of the two. */
const SHORT_TOKENS = 512;
const SHORT_ROWS = 32;
const LONG_ROWS = 8;
const SHORT_LANES = 4;
const MAX_WAITING = 256;
/** A quarter of the queue: one user's flood leaves room for others. */
const MAX_WAITING_PER_USER = 64;

/** Plans an engine whose keys and values take at most `kvBytes`, of which the system hands out what is really touched.
 *  Throws StartError when that is too little for a single row of the model's full length. */
export function engineLimits(config: LlamaConfig, kvBytes: number): SchedulerLimits {
  const tokens = Math.floor(kvBytes / kvBytesPerToken(config));
  const longest = bucketOf(config.contextLength);
  const short = Math.min(SHORT_TOKENS, longest);
  const long: readonly LengthClass[] =
    longest > short
      ? [{ maxTokens: longest, rows: LONG_ROWS, capacityTokens: longest, lanes: 1 }]
      : [];
  const taken = long.length * 2 * longest + SHORT_LANES * short;
  const capacityTokens = Math.min(tokens - taken, SHORT_ROWS * short);
  if (capacityTokens < short) throw tooLittle(kvBytes, (taken + short) * kvBytesPerToken(config));
  return {
    classes: [{ maxTokens: short, rows: SHORT_ROWS, capacityTokens, lanes: SHORT_LANES }, ...long],
    maxWaiting: MAX_WAITING,
    maxWaitingPerUser: MAX_WAITING_PER_USER,
  };
}

function tooLittle(bytes: number, needed: number): StartError {
  const mib = (size: number) => `${Math.ceil(size / 2 ** 20)} MiB`;
  return new StartError(
    `${mib(bytes)} are too little for this model's keys and values: give it at least ${mib(needed)}`,
  );
}
