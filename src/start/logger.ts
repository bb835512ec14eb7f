// The server's log: JSON lines on standard error, or readable ones on a terminal. Ids and codes only: nothing that a
// user wrote, so errors are cut down to what was thrown where.

import { pino } from 'pino';
import pretty from 'pino-pretty';
import { logIds } from '../lib/trace.ts';

/** Opens the log on standard error. Every line has the ids of the work that it is about (lib/trace.ts). */
export function openLogger(level: pino.LevelWithSilent): pino.Logger {
  const destination = process.stderr.isTTY
    ? pretty({ destination: 2, sync: true, ignore: 'pid,hostname' })
    : pino.destination({ dest: 2, sync: true });
  return pino({ level, mixin: () => logIds(), serializers: { err: serializeError } }, destination);
}

/** Type, message and stack, with those of the causes. A database's error has more fields, and those hold users' data. */
function serializeError(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const { type, message, stack } = pino.stdSerializers.err(error);
  return { type, message, stack };
}
