// Our server on the database that the argument names, with users who have a token each. Told `rss`, it says how much memory it
// takes; told `publish`, it publishes an adapter for every user, and then wakes all their subscribers at one moment.

import { openDatabase } from '../../src/db/database.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openLocalWakeups } from '../../src/lib/wakeups.ts';
import { LIMITS } from '../../src/transport/limits.ts';
import { openRateLimits, ratesOf } from '../../src/transport/rate-limits.ts';
import { fullStore } from '../../test/adapters/fixture.ts';
import { publish } from '../../test/schema/fixture.ts';
import { startApi } from '../../test/support/api-server.ts';

const { dataDir, databaseUrl, users } = JSON.parse(process.argv[2] ?? '') as {
  dataDir: string;
  databaseUrl: string;
  users: number;
};
const database = await openDatabase({ dataDir, databaseUrl });
const wakeups = openLocalWakeups();
let held: string[] | null = null;
const api = await startApi(database, systemClock, fullStore, {
  // all phones connect at once, on a machine that runs them as well
  limits: { ...LIMITS, socketInitMs: 10_000 },
  rates: openRateLimits(ratesOf(false)),
  isProduction: true,
  wakeups: {
    ...wakeups,
    wake: (topic) => (held === null ? wakeups.wake(topic) : void held.push(topic)),
  },
});
const clients = await Promise.all(Array.from({ length: users }, (_, i) => api.client(`user-${i}`)));
let round = 0;

/** When all subscribers were woken; milliseconds since the Unix epoch. */
async function publishToAll(): Promise<number> {
  held = [];
  round += 1;
  for (const client of clients) await publish(api, client, `round ${round}`);
  const topics: string[] = held;
  held = null;
  const wokenAt = performance.timeOrigin + performance.now();
  for (const topic of topics) wakeups.wake(topic);
  return wokenAt;
}

// nobody asks any more
process.on('disconnect', () => process.exit());
process.on('message', (question) => {
  const answer =
    question === 'publish' ? publishToAll() : Promise.resolve(process.memoryUsage.rss());
  void answer.then((value) => process.send?.(value));
});
process.send?.({ url: api.url, tokens: clients.map(({ token }) => token) });
