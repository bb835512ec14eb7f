import type { Patience } from '../../../src/lib/redis-client.ts';

/** Of a queue's connections to Redis, as short as can be: a worker whose connection failed asks BullMQ for a command that
 *  blocks for 10 s, and if that counts as silence, it fails and is asked for again, for ever. */
export const QUEUE_PATIENCE: Patience = { pingMs: 500, silenceMs: 11_000 };
