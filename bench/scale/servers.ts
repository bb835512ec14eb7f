import { newDatabaseOn, startPostgres } from '../../test/support/servers/postgres-server.ts';
import { startRedis } from '../../test/support/servers/redis-server.ts';

/** A PostgreSQL and a Redis of the benchmark's own. */
export interface Servers {
  readonly redisUrl: string;
  /** The URL of a new, empty database. */
  newDatabase(): Promise<string>;
  stop(): Promise<void>;
}

/** Starts both servers. */
export async function startServers(): Promise<Servers> {
  const [postgres, redis] = await Promise.all([
    startPostgres({ isAsInstalled: true }),
    startRedis(),
  ]);
  return {
    redisUrl: redis.url,
    newDatabase: () => newDatabaseOn(postgres.url),
    stop: async () => {
      await Promise.all([postgres.stop(), redis.stop()]);
    },
  };
}
