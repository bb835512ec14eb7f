// Two nodes that relay and train on one PostgreSQL and one Redis, reached over networks with faults. The trainer only
// pretends; queue, relay, database, wake-ups and store are the real ones, on a fast clock.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { createClient } from 'redis';
import { type Jobs, startJobs } from '../../../jobs/start.ts';
import { openAdapterStore } from '../../../src/adapters/store.ts';
import type { ChangeInput } from '../../../src/changes/change.ts';
import { registerDevice } from '../../../src/changes/devices.ts';
import { pushChanges } from '../../../src/changes/push-changes.ts';
import { ensureUser } from '../../../src/changes/users.ts';
import { upToDateThrough } from '../../../src/dataset/up-to-date.ts';
import { type Database, openDatabase } from '../../../src/db/database.ts';
import { vaultOf } from '../../../src/db/sealed-columns.ts';
import { type Clock, systemClock } from '../../../src/lib/clock.ts';
import { must } from '../../../src/lib/errors.ts';
import { openRedisWakeups } from '../../../src/lib/redis-wakeups.ts';
import type { Wakeups } from '../../../src/lib/wakeups.ts';
import type { ModeCatalog } from '../../../src/modes/mode.ts';
import { type RunDeps, runTraining } from '../../../src/runs/run-training.ts';
import { removeScratch } from '../../../src/runs/scratch.ts';
import type { TrainingJob, TrainingResult } from '../../../src/training/training-job.ts';
import { FAKE_BASE } from '../api/api-server.ts';
import { fastClock } from '../clocks/fast-clock.ts';
import { NO_FORGETTING } from '../test-user.ts';
import { pretendToTrain } from '../training/pretend-trainer.ts';
import { quickCatalog } from '../training/quick-catalog.ts';
import { untilDone } from '../until-done.ts';
import type { Damage, DeploymentOptions, ServerUrls } from './damage.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { QUEUE_PATIENCE } from './queue-patience.ts';

const MODE = 'subject';
/** A minute of the relay's sweeps takes a second. */
const TIMES = 60;
/** How long a run stays with a trainer that is silent, unless a test says otherwise. */
const LEASE_MS = 5_000;
/** Half a minute without an answer from PostgreSQL takes three seconds. */
const PATIENCE_TIMES = 10;
const DEVICE = 'phone';

/** One process of the deployment. */
interface Node {
  readonly database: Database;
  readonly wakeups: Wakeups;
  readonly jobs: Jobs;
  readonly run: Omit<RunDeps, 'shutdown'>;
}

/** The deployment and what befalls it. */
export class FaultDeployment {
  readonly catalog: ModeCatalog;
  readonly #running = fastClock(TIMES);
  #jumpedMs = 0;
  readonly clock: Clock = {
    now: () => this.#running.now() + this.#jumpedMs,
    sleep: this.#running.sleep,
  };
  readonly postgres: FaultProxy;
  readonly redis: FaultProxy;
  /** Why attempts at runs have failed. */
  readonly failures: unknown[] = [];
  /** How often a trainer ran, and what a run does while it trains. */
  trainings = 0;
  whileTraining: () => Promise<void> = () => Promise.resolve();
  readonly #urls: ServerUrls;
  readonly folder: string;
  readonly #leaseMs: number;
  readonly nodes: Node[] = [];
  #hasStopped = false;

  private constructor(
    catalog: ModeCatalog,
    proxies: { postgres: FaultProxy; redis: FaultProxy },
    place: { folder: string; urls: ServerUrls; leaseMs: number },
  ) {
    this.catalog = catalog;
    this.postgres = proxies.postgres;
    this.redis = proxies.redis;
    this.folder = place.folder;
    this.#leaseMs = place.leaseMs;
    this.#urls = place.urls;
  }

  static async start(
    nodeCount: number,
    urls: ServerUrls,
    options: DeploymentOptions = {},
  ): Promise<FaultDeployment> {
    const proxies = {
      postgres: await startFaultProxy(urls.postgres),
      redis: await startFaultProxy(urls.redis),
    };
    const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'attune-faults-')));
    const place = { folder, urls, leaseMs: options.leaseMs ?? LEASE_MS };
    const deployment = new FaultDeployment(await quickCatalog(MODE), proxies, place);
    for (let i = 0; i < nodeCount; i += 1) deployment.nodes.push(await deployment.#startNode(i));
    return deployment;
  }

  get db() {
    const [node] = this.nodes;
    if (node === undefined) throw new Error('the deployment has nodes');
    return node.database.kysely;
  }

  /** A user with a phone, which pushes one record at a time until it is told that it was accepted. */
  async newUser(name: string) {
    const { clock, catalog, db } = this;
    const { id } = await untilDone(() => ensureUser(db, name, new Date(clock.now())), clock);
    const device = { deviceId: DEVICE, name, platform: 'test' };
    await untilDone(() => registerDevice({ db, clock }, id, device), clock);
    let mutationId = 0;
    return {
      id,
      push: async (recordId: string, subject: string) => {
        mutationId += 1;
        const change: ChangeInput = {
          ...{ mutationId, source: 'mail.sent', recordId, kind: 'UPSERT' },
          data: {
            to: [],
            subject,
            body: `${subject}: the boat is dry so bring your brushes on sunday`,
          },
          occurredAt: new Date(clock.now()),
        };
        const { wakeups } = this.nodes[mutationId % this.nodes.length] ?? { wakeups: undefined };
        if (wakeups === undefined) throw new Error('the deployment has nodes');
        const deps = { db, catalog, wakeups, clock, ...NO_FORGETTING };
        await untilDone(
          () => pushChanges(deps, id, { deviceId: DEVICE, changes: [change] }),
          clock,
        );
      },
    };
  }

  /** Everybody whom the database knows. */
  async userIds(): Promise<string[]> {
    const users = await this.db.selectFrom('users').select('id').execute();
    return users.map(({ id }) => id);
  }

  /** The user's live adapter. */
  liveOf(userId: string) {
    return this.db
      .selectFrom('adapters')
      .select(['userId', 'sha256'])
      .where('userId', '=', userId)
      .where('status', '=', 'LIVE')
      .executeTakeFirstOrThrow();
  }

  /** How the user's runs ended that trained and published nothing. */
  async unpublished(userId: string): Promise<string[]> {
    const runs = await this.db
      .selectFrom('runs')
      .select('status')
      .where('userId', '=', userId)
      .where('adapterId', 'is', null)
      .execute();
    return runs.map(({ status }) => status);
  }

  /** One fault, its end, and a moment of peace. */
  async befall(random: () => number): Promise<void> {
    const network = random() < 0.5 ? this.redis : this.postgres;
    const faults: readonly (() => void | Promise<void>)[] = [
      () => {
        network.set({ kind: 'refuse' });
        network.cut();
      },
      () => network.cut(),
      () => network.set({ kind: 'reset' }),
      () => network.set({ kind: 'cut', afterBytes: Math.floor(random() * 20_000) }),
      () => network.set({ kind: 'latency', ms: 30 }),
      () => network.set({ kind: 'drip', bytes: 50 }),
      () => network.set({ kind: 'half-open' }),
      () => this.flushRedis(),
      () => this.cutSessions(),
    ];
    await faults[Math.floor(random() * faults.length)]?.();
    await systemClock.sleep(random() * 300);
    network.set({ kind: 'none' });
    await systemClock.sleep(random() * 200);
  }

  /** The clock of every node is set to another time. */
  jump(ms: number): void {
    this.#jumpedMs += ms;
  }

  /** The queue gives the user's job to a node, whoever has it already. */
  async deliver(userId: string, nodeIndex: number): Promise<void> {
    const { run } = must(this.nodes[nodeIndex], 'a node');
    const shutdown = new AbortController().signal;
    await runTraining({ ...run, shutdown }, { userId, mode: MODE }, { isLast: false });
  }

  /** Whether everything that the user has pushed is learnt, or known to teach nothing. */
  async isSettled(userId: string): Promise<boolean> {
    const { changeSeq } = await this.#counters(userId);
    return (await upToDateThrough(this.db, userId, this.catalog.mode(MODE))) === changeSeq;
  }

  /** What went wrong for a user who has pushed so many changes. */
  async damageTo(userId: string, accepted: number): Promise<Damage> {
    const { changeSeq, feedSeq } = await this.#counters(userId);
    const events = await this.db
      .selectFrom('feedEvents')
      .innerJoin('adapters', 'adapters.id', 'feedEvents.adapterId')
      .select(['adapters.userId', 'adapters.runId'])
      .where('feedEvents.userId', '=', userId)
      .execute();
    return {
      lost: accepted - changeSeq + feedSeq - events.length,
      doubled: events.length - new Set(events.map(({ runId }) => runId)).size,
      crossUserReads: events.filter((event) => event.userId !== userId).length,
    };
  }

  #counters(userId: string) {
    return this.db
      .selectFrom('users')
      .select(['changeSeq', 'feedSeq'])
      .where('id', '=', userId)
      .executeTakeFirstOrThrow();
  }

  /** Everything Redis knows is gone. */
  async flushRedis(): Promise<void> {
    const client = createClient({ url: this.#urls.redis });
    await client.connect();
    await client.flushDb();
    await client.close();
  }

  /** PostgreSQL ends every connection to the database, in the middle of whatever it does. */
  async cutSessions(): Promise<void> {
    const client = new pg.Client(this.#urls.postgres);
    await client.connect();
    await client.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    );
    await client.end();
  }

  /** Ends all background work; what trains is seen to its end. */
  async stopJobs(): Promise<void> {
    if (this.#hasStopped) return;
    this.#hasStopped = true;
    await Promise.all(this.nodes.map(({ jobs }) => jobs.close()));
  }

  async close(): Promise<void> {
    await this.stopJobs();
    for (const { wakeups, database } of this.nodes) {
      await wakeups.close();
      await database.close();
    }
    await this.postgres.close();
    await this.redis.close();
    await rm(this.folder, { recursive: true });
  }

  async #startNode(i: number): Promise<Node> {
    const database = await openDatabase({
      dataDir: this.folder,
      databaseUrl: this.postgres.url,
      clock: fastClock(PATIENCE_TIMES),
    });
    const wakeups = await openRedisWakeups(this.redis.url, () => undefined, QUEUE_PATIENCE);
    const workDir = join(this.folder, `work-${i}`);
    // as a start does: Node says that a folder is missing where it cannot make one on a disk that can only be read
    await removeScratch(workDir);
    const run: Omit<RunDeps, 'shutdown'> = {
      ...{ db: database.kysely, catalog: this.catalog, base: FAKE_BASE },
      ...{ wakeups, clock: this.clock },
      store: await openAdapterStore(this.folder, vaultOf(database.kysely)),
      workDir,
      train: (job) => this.#train(job),
      onPublished: () => undefined,
    };
    const jobs = await startJobs({
      ...{ database, redisUrl: this.redis.url, relays: true, trains: true, concurrency: 1 },
      ...{ onError: () => undefined, patience: QUEUE_PATIENCE, run },
      ...{ leaseMs: this.#leaseMs, onFailed: (error) => this.failures.push(error) },
    });
    return { database, wakeups, jobs, run };
  }

  async #train(job: TrainingJob): Promise<TrainingResult> {
    this.trainings += 1;
    await this.whileTraining();
    return pretendToTrain(job);
  }
}
