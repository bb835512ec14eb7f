// Points of rate limits, counted in Redis: all servers that share it count together.

import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible';
import { IMPATIENT, newRedisClient } from './redis-client.ts';

/** Makes counters until it is closed. */
export interface RedisRateCounters {
  /** A counter of so many points within `duration` seconds, under names that start with `keyPrefix`. */
  makeCounter(options: { keyPrefix: string; points: number; duration: number }): RateLimiterRedis;
  close(): Promise<void>;
}

/** Opens the counters. While Redis does not answer, each server counts by itself. Failures of the connection reach
 *  `onError`; it is made anew by itself. */
export async function openRedisRateCounters(
  url: string,
  onError: (error: unknown) => void,
): Promise<RedisRateCounters> {
  // a command that cannot be sent fails at once, and the memory counts
  const client = newRedisClient(url, onError, IMPATIENT, { disableOfflineQueue: true });
  await client.connect();
  return {
    makeCounter: (options) =>
      new RateLimiterRedis({
        ...options,
        storeClient: client,
        useRedisPackage: true,
        insuranceLimiter: new RateLimiterMemory(options),
      }),
    close: () => {
      client.destroy();
      return Promise.resolve();
    },
  };
}
