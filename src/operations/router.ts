import { type RequestHandler, Router } from 'express';
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

/** Says that the process lives, and nothing of what it needs: whoever restarts what does not answer here must not restart
 *  everything when the database is away. */
export const healthz: RequestHandler = (_request, response) => {
  response.json({ status: 'ok' });
};
