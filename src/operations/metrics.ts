// The figures that tell how a deployment fares, in Prometheus' format. Work that is shared is counted in SQL when it is
// asked for, so that any process can tell; what only this process does is counted as it happens.

import { sql } from 'kysely';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Db } from '../db/database.ts';

/** How far back the figures of finished runs reach. */
const WINDOW_MINUTES = 15;

/** Time to the first token, SQL and Redis, seconds. */
const BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What this process counts, and all figures as text. */
export interface Metrics {
  readonly contentType: string;
  /** Seconds from a question to the first piece of its answer. */
  readonly timeToFirstToken: Histogram;
  /** Tokens that the engine wrote. */
  readonly tokens: Counter;
  /** Answers by how they ended. */
  readonly answers: Counter<'outcome'>;
  /** Adapters that answers asked for: in the engine's memory, or loaded from disk, where some had to be fetched from the bucket
   *  first, by whoever asked for them. */
  readonly adapters: Counter<'tier'>;
  /** Operations that ended, over either transport, by kind (refused: nothing was run) and by the code of the first error
   *  or OK. */
  readonly operations: Counter<'kind' | 'code'>;
  /** Seconds per SQL statement. */
  readonly sqlSeconds: Histogram;
  /** Seconds per command of Redis. */
  readonly redisSeconds: Histogram;
  /** What the figures are called. */
  names(): readonly string[];
  /** All figures. */
  text(): Promise<string>;
}

/** Opens the figures of one process. */
export function openMetrics(): Metrics & { watch(db: Db, countSockets?: () => number): void } {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: 'attune_' });
  const histogram = (name: string, help: string) =>
    new Histogram({ name, help, buckets: BUCKETS_S, registers });
  return {
    contentType: registry.contentType,
    timeToFirstToken: histogram(
      'attune_time_to_first_token_seconds',
      'From a question to the first piece of its answer.',
    ),
    tokens: new Counter({
      name: 'attune_tokens_total',
      help: 'Tokens that the engine wrote.',
      registers,
    }),
    answers: new Counter({
      name: 'attune_answers_total',
      help: 'Answers by how they ended.',
      labelNames: ['outcome'],
      registers,
    }),
    operations: new Counter({
      name: 'attune_operations_total',
      help: 'Operations that ended, by kind (refused: not run) and code (OK, or the first error).',
      labelNames: ['kind', 'code'],
      registers,
    }),
    adapters: new Counter({
      name: 'attune_adapters_total',
      help: 'Adapters that answers asked for, by where they were; those from a bucket count again as disk.',
      labelNames: ['tier'],
      registers,
    }),
    sqlSeconds: histogram('attune_sql_seconds', 'Time per SQL statement.'),
    redisSeconds: histogram(
      'attune_redis_seconds',
      'Time per command of Redis that waits for nothing.',
    ),
    names: () => registry.getMetricsAsArray().map(({ name }) => name),
    text: () => registry.metrics(),
    watch: (db, countSockets) => {
      if (countSockets !== undefined) watchSockets(registry, countSockets);
      watchRuns(registry, db);
    },
  };
}

function watchSockets(registry: Registry, countSockets: () => number): void {
  new Gauge({
    name: 'attune_sockets',
    help: 'Open WebSockets of this process.',
    registers: [registry],
    collect() {
      this.set(countSockets());
    },
  });
}

function watchRuns(registry: Registry, db: Db): void {
  const registers = [registry];
  new Gauge({
    name: 'attune_queue_depth',
    help: 'Runs that wait.',
    registers,
    async collect() {
      this.set((await readQueue(db)).depth);
    },
  });
  new Gauge({
    name: 'attune_queue_oldest_seconds',
    help: 'How long the oldest waiting run has waited.',
    registers,
    async collect() {
      this.set((await readQueue(db)).oldestS);
    },
  });
  new Gauge({
    name: 'attune_runs_finished',
    help: `Runs that ended within ${WINDOW_MINUTES} minutes, by how.`,
    labelNames: ['outcome'],
    registers,
    async collect() {
      this.reset();
      for (const { status, count } of await readOutcomes(db)) this.set({ outcome: status }, count);
    },
  });
  new Gauge({
    name: 'attune_change_to_live_seconds',
    help: `From the change that asked for a run to its adapter, ${WINDOW_MINUTES} minutes.`,
    labelNames: ['quantile'],
    registers,
    async collect() {
      this.reset();
      for (const [quantile, seconds] of await readLag(db)) this.set({ quantile }, seconds);
    },
  });
}

async function readQueue(db: Db): Promise<{ depth: number; oldestS: number }> {
  const { rows } = await sql<{ depth: number; oldestS: number | null }>`
    select count(*) as depth, extract(epoch from now() - min(queued_at))::float8 as oldest_s
    from runs where status = 'QUEUED'`.execute(db);
  return { depth: rows[0]?.depth ?? 0, oldestS: rows[0]?.oldestS ?? 0 };
}

async function readOutcomes(db: Db): Promise<{ status: string; count: number }[]> {
  const { rows } = await sql<{ status: string; count: number }>`
    select status, count(*) as count from runs
    where finished_at > now() - make_interval(mins => ${WINDOW_MINUTES}) group by status`.execute(
    db,
  );
  return rows;
}

async function readLag(db: Db): Promise<[string, number][]> {
  const { rows } = await sql<{ p50: number | null; p99: number | null }>`
    select percentile_cont(0.5) within group (order by lag) as p50,
           percentile_cont(0.99) within group (order by lag) as p99
    from (select extract(epoch from finished_at - queued_at)::float8 as lag from runs
          where status = 'PUBLISHED'
            and finished_at > now() - make_interval(mins => ${WINDOW_MINUTES})) as published`.execute(
    db,
  );
  const { p50 = null, p99 = null } = rows[0] ?? {};
  return p50 === null || p99 === null
    ? []
    : [
        ['0.5', p50],
        ['0.99', p99],
      ];
}
