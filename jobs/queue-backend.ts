// Where BullMQ keeps its jobs: in the SQL database by default, in Redis when there is a URL.
// Out: BullMQ's own classes bound to one of the two, so that everything above is written once.

import {
  type BackendClasses,
  createNodeRedisClient,
  createPostgresBackend,
  createRedisBackend,
  type IQueueBackend,
  type PostgresConnectionOptions,
  runMigrations,
  withBackend,
} from 'bullmq';
import type { Database } from '../src/db/database.ts';
import { newRedisClient, type Patience } from '../src/lib/redis-client.ts';

/** BullMQ's default schema; its functions use unqualified names, so the database has it on the search path. */
const SCHEMA = 'bullmq';

/** BullMQ's classes on one backend, and the connection they are made with. */
export interface QueueBackend<B extends IQueueBackend, C> {
  readonly classes: BackendClasses<B, C>;
  readonly connection: C;
  /** Ends the connections that were opened here. Close queues and workers first. */
  close(): Promise<void>;
}

/** Opens the queue on the SQL database and brings BullMQ's tables up to date (safe with two starters). */
export async function openSqlBackend({ pool }: Database) {
  const client = await pool.connect();
  try {
    await runMigrations(client, SCHEMA);
  } finally {
    client.release();
  }
  return {
    classes: withBackend(createPostgresBackend),
    // BullMQ asks only for connect, query and end of a pool, which both kinds have
    connection: pool as PostgresConnectionOptions,
    // the pool is the database's own
    close: () => Promise.resolve(),
  };
}

/** Opens the queue on Redis through the `redis` package. Errors of the connection reach `onError`; it reconnects. */
export async function openRedisBackend(
  url: string,
  onError: (error: unknown) => void,
  patience: Patience,
) {
  const raw = newRedisClient(url, onError, patience);
  await raw.connect();
  const connection = createNodeRedisClient(raw);
  // it repeats what `onError` is told, also when BullMQ does not listen to it any more
  connection.on('error', () => undefined);
  return {
    classes: withBackend(createRedisBackend),
    connection,
    close: async () => raw.close(),
  };
}
