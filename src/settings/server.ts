// How one process runs: where it listens, how much of the machine it takes, what it logs.

import { availableParallelism } from 'node:os';
import { nonEmpty, type Setting, url, wholeNumber, yesOrNo } from './setting.ts';

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
/** More threads or trainers than this are a slip of the hand. */
const MAX_THREADS = 256;

export const SERVER_SETTINGS = {
  port: {
    flag: '--port',
    env: 'PORT',
    placeholder: 'number',
    description: 'port to listen on; 0 picks a free one',
    expected: 'a whole number from 0 to 65535',
    fallback: '4000',
    parse: (text) => wholeNumber(text, 0, 65_535),
  } satisfies Setting<number>,
  host: {
    flag: '--host',
    env: 'ATTUNE_HOST',
    placeholder: 'address',
    description: 'address to listen on; 0.0.0.0 lets other machines in',
    expected: 'an address or host name of this machine',
    fallback: '127.0.0.1',
    parse: nonEmpty,
  } satisfies Setting<string>,
  healthPort: {
    flag: '--health-port',
    env: 'ATTUNE_HEALTH_PORT',
    placeholder: 'number',
    description:
      'port of its own for /healthz, /readyz and /metrics (standard: that of the API; a trainer has none)',
    expected: 'a whole number from 0 to 65535',
    fallback: null,
    parse: (text) => wholeNumber(text, 0, 65_535),
  } satisfies Setting<number>,
  traces: {
    flag: '--traces',
    env: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    placeholder: 'url',
    description: 'where traces are sent, over OTLP and HTTP (standard: nowhere)',
    expected: "a collector's URL such as http://127.0.0.1:4318",
    fallback: null,
    parse: (text) => url(text, ['http:', 'https:']),
  } satisfies Setting<string>,
  threads: {
    flag: '--threads',
    env: 'ATTUNE_THREADS',
    placeholder: 'number',
    description: 'threads of the inference engine',
    expected: `a whole number from 1 to ${MAX_THREADS}`,
    fallback: String(availableParallelism()),
    parse: (text) => wholeNumber(text, 1, MAX_THREADS),
  } satisfies Setting<number>,
  speculation: {
    flag: '--speculation',
    env: 'ATTUNE_SPECULATION',
    placeholder: 'yes|no',
    description: 'guess several tokens at a time while one answer is written alone',
    expected: 'yes or no',
    fallback: 'no',
    parse: yesOrNo,
  } satisfies Setting<boolean>,
  trainers: {
    flag: '--concurrency',
    env: 'ATTUNE_CONCURRENCY',
    placeholder: 'number',
    description: 'training runs at the same time, a processor core each',
    expected: `a whole number from 1 to ${MAX_THREADS}`,
    fallback: String(Math.max(1, availableParallelism() - 1)),
    parse: (text) => wholeNumber(text, 1, MAX_THREADS),
  } satisfies Setting<number>,
  logLevel: {
    flag: '--log-level',
    env: 'ATTUNE_LOG_LEVEL',
    placeholder: 'level',
    description: `how much to log: ${LOG_LEVELS.join(', ')}`,
    expected: `one of ${LOG_LEVELS.join(', ')}`,
    fallback: 'info',
    parse: (text) => LOG_LEVELS.find((level) => level === text),
  } satisfies Setting<(typeof LOG_LEVELS)[number]>,
};
