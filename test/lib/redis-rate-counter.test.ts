import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openRedisRateCounters } from '../../src/lib/redis-rate-counter.ts';
import { openRateLimits, RATES } from '../../src/transport/rate-limits.ts';
import { redisUrl } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';

describe.skipIf(!shouldRunWith('redis-server'))('rates in Redis', () => {
  const rates = { ...RATES, user: { points: 10, seconds: 60 } };

  it('are counted by all servers together, for each key by itself', async () => {
    const url = await redisUrl();
    const servers = await Promise.all(
      [1, 2].map(() => openRedisRateCounters(url, () => undefined)),
    );
    const [one, other] = servers.map(({ makeCounter }) => openRateLimits(rates, makeCounter));
    const user = randomUUID();
    await one?.spend('user', user, 6);
    await expect(other?.spend('user', user, 6)).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      retryAfterMs: expect.any(Number),
    });
    await other?.spend('user', randomUUID(), 6);
    await other?.spend('device', user, 6);
    for (const server of servers) await server.close();
  });

  it('are counted by each server for itself while Redis is away', async () => {
    const counters = await openRedisRateCounters(await redisUrl(), () => undefined);
    const limits = openRateLimits(rates, counters.makeCounter);
    await counters.close();
    const user = randomUUID();
    await limits.spend('user', user, 6);
    await expect(limits.spend('user', user, 6)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  });
});
