import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { afterEach, expect, it } from 'vitest';
import type { DatabaseSchema } from '../../src/db/schema.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { startHealthServer } from '../../src/operations/health-server.ts';
import type { Metrics } from '../../src/operations/metrics.ts';
import { checkDatabase, openReadiness } from '../../src/operations/readiness.ts';
import { operationsRouter } from '../../src/operations/router.ts';

const pool = new pg.Pool({ connectionString: 'postgres://postgres@127.0.0.1:1/none' });
const db = new Kysely<DatabaseSchema>({ dialect: new PostgresDialect({ pool }) });
afterEach(() => db.destroy());

// an outage of the database restarted every process of a cluster, whose liveness probe asked for it
it('is alive without its database, but not ready', async () => {
  const checks = { database: () => checkDatabase(db, 0) };
  const readiness = openReadiness(checks, systemClock, () => undefined);
  const router = operationsRouter(null as unknown as Metrics, readiness);
  const server = await startHealthServer({ host: '127.0.0.1', port: 0 }, router);
  const ask = async (path: string) => {
    const response = await fetch(`${server.url}${path}`);
    return [response.status, await response.json()];
  };
  expect(await ask('/healthz')).toEqual([200, { status: 'ok' }]);
  expect(await ask('/readyz')).toMatchObject([
    503,
    { status: 'not ready', checks: { database: { ok: false } } },
  ]);
  await server.close();
});
