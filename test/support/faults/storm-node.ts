// A server in a process of its own, to be killed: on the database and with the keys that its parent names. Says where it
// listens, and whenever it is asked, how much memory it takes and how many sockets it has.

import { openAuthenticator } from '../../../src/auth/tokens.ts';
import { openDatabase } from '../../../src/db/database.ts';
import { openPostgresWakeups } from '../../../src/db/postgres-wakeups.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { must } from '../../../src/lib/errors.ts';
import { openRateLimits, ratesOf } from '../../../src/transport/rate-limits.ts';
import { fullStore } from '../../adapters/fixture.ts';
import { startApi } from '../api/api-server.ts';

interface Place {
  readonly keysDir: string;
  readonly databaseUrl: string;
}

async function start({ keysDir, databaseUrl }: Place): Promise<void> {
  const { kysely, pool, ...database } = await openDatabase({ dataDir: keysDir, databaseUrl });
  const wakeups = await openPostgresWakeups({ pool, databaseUrl }, () => undefined);
  const authenticator = await openAuthenticator(keysDir, systemClock);
  const shared = { ...database, kysely, pool };
  // thousands come from one address here
  const rates = openRateLimits(ratesOf(false));
  const api = await startApi(shared, systemClock, fullStore, { wakeups, authenticator, rates });
  process.on('message', () =>
    process.send?.({ rssBytes: process.memoryUsage.rss(), sockets: api.countSockets() }),
  );
  process.send?.({ url: api.url });
}

process.once('message', (place: Place) => void start(must(place, 'where to start')));
process.once('disconnect', () => process.exit());
