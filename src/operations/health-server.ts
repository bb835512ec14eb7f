import { once } from 'node:events';
import { createServer } from 'node:http';
import express, { type Router } from 'express';
import { type Address, listen, urlOf } from '../lib/listen.ts';
import { healthz } from './router.ts';

/** Serves /healthz and the router's paths, for a process that answers nobody else. Throws StartError when the address
 *  cannot be had. */
export async function startHealthServer(
  address: Address,
  router: Router,
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const app = express();
  app.disable('x-powered-by');
  app.get('/healthz', healthz);
  app.use(router);
  const server = createServer(app);
  const listening = await listen(server, address);
  return {
    url: urlOf(address.host, listening),
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
