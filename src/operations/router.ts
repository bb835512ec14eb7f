import { type RequestHandler, Router } from 'express';
import { sql } from 'kysely';
import type { Db } from '../db/database.ts';
import type { Metrics } from './metrics.ts';
import type { Readiness } from './readiness.ts';

/** Serves /readyz (200 or 503, with each part's round trip) and /metrics. */
export function operationsRouter(metrics: Metrics, readiness: () => Promise<Readiness>): Router {
  const router = Router();
  router.get('/readyz', async (_request, response) => {
    const { isReady, checks } = await readiness();
    response.status(isReady ? 200 : 503).json({ status: isReady ? 'ready' : 'not ready', checks });
  });
  router.get('/metrics', async (_request, response) => {
    response.type(metrics.contentType).send(await metrics.text());
  });
  return router;
}

/** Says whether the process can do its work, which needs the database. */
export function healthz(db: Db): RequestHandler {
  return async (_request, response) => {
    await sql`select 1`.execute(db);
    response.json({ status: 'ok' });
  };
}
