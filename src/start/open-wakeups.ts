import type { Config } from '../config.ts';
import type { Database } from '../db/database.ts';
import { openPostgresWakeups } from '../db/postgres-wakeups.ts';
import { openRedisWakeups } from '../lib/redis-wakeups.ts';
import { openLocalWakeups, type Wakeups } from '../lib/wakeups.ts';

/** Opens wakeups that reach every process that may share the work: over Redis where there is one, else over PostgreSQL;
 *  the built-in database belongs to this process alone. */
export function openWakeups(
  { redisUrl }: Config,
  { databaseUrl, pool }: Database,
  onError: (error: unknown) => void,
): Promise<Wakeups> {
  if (redisUrl !== undefined) return openRedisWakeups(redisUrl, onError);
  if (databaseUrl !== undefined) return openPostgresWakeups({ databaseUrl, pool }, onError);
  return Promise.resolve(openLocalWakeups());
}
