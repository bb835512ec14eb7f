import type { Router } from 'express';
import type { pino } from 'pino';
import { openProbe, type Probe } from '../../jobs/probe.ts';
import type { Config } from '../config.ts';
import type { Engine } from '../inference/engine-client.ts';
import { watchRedis } from '../lib/redis-client.ts';
import type { Tokenizer } from '../model/tokenizer/tokenizer.ts';
import { checkDatabase, checkEngine, openReadiness } from '../operations/readiness.ts';
import { operationsRouter } from '../operations/router.ts';
import type { Closable } from './closers.ts';
import type { Parts } from './open-parts.ts';

/** Opens what a process tells those who run it; one that answers says whether its engine does. The queue's probe starts when somebody first asks. */
export function openOperations(
  { redisUrl }: Config,
  parts: Parts & { readonly logger: pino.Logger },
  answering?: { readonly engine: Engine; readonly tokenizer: Tokenizer },
): Closable & { readonly router: Router } {
  const { database, db, clock, logger, metrics } = parts;
  let probe: Promise<Probe> | null = null;
  const unwatch = watchRedis((ms) => metrics.redisSeconds.observe(ms / 1000));
  const onError = (err: unknown) => logger.error({ err }, 'the probe of the queue failed');
  const readiness = openReadiness(
    {
      database: () => checkDatabase(db, clock.now()),
      ...(answering !== undefined && {
        engine: (signal: AbortSignal) =>
          checkEngine(answering.engine, answering.tokenizer.encode('Hello'), signal),
      }),
      queue: async () => {
        probe ??= openProbe({ database, redisUrl, onError });
        const opened = await probe.catch((error) => {
          // the next one who asks tries anew
          probe = null;
          throw error;
        });
        await opened.roundTrip();
      },
    },
    clock,
    (part, err) => logger.error({ err, part }, 'not ready'),
  );
  return {
    router: operationsRouter(metrics, readiness),
    close: async () => {
      unwatch();
      await (await probe)?.close();
    },
  };
}
