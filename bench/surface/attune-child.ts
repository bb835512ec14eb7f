// Our server on the database that the argument names, with users who have a token each. Told `use`, it says what it has used;
// told to wake topics, it does so at one moment; told `publish`, it publishes an adapter for every user, wakes nobody, and says
// which topics that would wake.

import { openDatabase } from '../../src/db/database.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openLocalWakeups } from '../../src/lib/wakeups.ts';
import { LIMITS } from '../../src/transport/limits.ts';
import { openRateLimits, ratesOf } from '../../src/transport/rate-limits.ts';
import { fullStore } from '../../test/adapters/fixture.ts';
import { publish } from '../../test/schema/fixture.ts';
import { startApi } from '../../test/support/api/api-server.ts';
import { answerParent, useOf, type Wake } from './contender.ts';

const { dataDir, databaseUrl, users } = JSON.parse(process.argv[2] ?? '') as {
  dataDir: string;
  databaseUrl: string;
  users: number;
};
const database = await openDatabase({ dataDir, databaseUrl });
const wakeups = openLocalWakeups();
let published: string[] = [];
const api = await startApi(database, systemClock, fullStore, {
  // all phones connect at once, on a machine that runs them as well
  limits: { ...LIMITS, socketInitMs: 10_000 },
  rates: openRateLimits(ratesOf(false)),
  isProduction: true,
  wakeups: { ...wakeups, wake: (topic) => void published.push(topic) },
});
const clients = await Promise.all(Array.from({ length: users }, (_, i) => api.client(`user-${i}`)));
let round = 0;

/** The topics that are to be woken now. */
async function publishToAll(): Promise<string[]> {
  published = [];
  round += 1;
  for (const client of clients) await publish(api, client, `round ${round}`);
  return published;
}

/** When all subscribers were woken; milliseconds since the Unix epoch. */
function wake({ topics }: Wake): number {
  const wokenAt = performance.timeOrigin + performance.now();
  for (const topic of topics) wakeups.wake(topic);
  return wokenAt;
}

answerParent((question) => {
  if (question === 'use') return useOf(process);
  return question === 'publish' ? publishToAll() : wake(question as Wake);
});
process.send?.({ url: api.url, tokens: clients.map(({ token }) => token) });
