// Changes per second through the API, by users who push at once, against plain INSERTs of the same rows: in turns on one
// PostgreSQL that keeps what it has committed. What either side sends is written out before its clock starts.

import { availableParallelism } from 'node:os';
import pg from 'pg';
import { issueToken } from '../../src/auth/tokens.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import { AttuneProcess } from '../../test/support/servers/attune-process.ts';
import { type Figure, median } from '../decode/figure.ts';
import { openConnection } from '../surface/connection.ts';
import { BATCH, type Content, changesOf, contact, mail, type Side, USERS } from './ingest-side.ts';
import { insertSide } from './plain-inserts.ts';
import { familyProcessorMs, processorMs } from './processor-time.ts';
import type { Servers } from './servers.ts';

const BATCHES = 40;
/** Turns that are not counted: what is compiled while they run. */
const WARM_UP = 2;
const TURNS = 7;

/** A server that takes pushes. */
interface Node {
  readonly server: AttuneProcess;
  readonly url: string;
}

/** How fast changes were taken: the medians of the turns. */
interface Ingest {
  readonly perS: number;
  /** Of a batch of 100 changes. */
  readonly p99Ms: number;
  /** Microseconds of processor time for a change: the server's own, the database's, the benchmark's. */
  readonly serverUs: number;
  readonly databaseUs: number;
  readonly clientUs: number;
}

/** Both on one database, turn by turn. */
export async function postgresFigures(folder: string, servers: Servers): Promise<Figure[]> {
  const databaseUrl = await servers.newDatabase();
  const env = { DATABASE_URL: databaseUrl, REDIS_URL: servers.redisUrl };
  // PostgreSQL and plain INSERTs have every core, and so has a deployment: a node takes one
  const nodes = await startNodes(folder, env, availableParallelism());
  const sides = {
    all: await apiSide(nodes, folder, { content: mail, users: 'all' }),
    one: await apiSide(nodes.slice(0, 1), folder, { content: mail, users: 'one' }),
    inserts: await insertSide(databaseUrl),
  };
  const databaseMs = await databaseClock(databaseUrl);
  const turns: Record<keyof typeof sides, Turn>[] = [];
  try {
    for (let turn = 0; turn < WARM_UP + TURNS; turn += 1)
      turns.push({
        all: await timeTurn(sides.all, turn, databaseMs),
        inserts: await timeTurn(sides.inserts, turn, databaseMs),
        one: await timeTurn(sides.one, turn, databaseMs),
      });
  } finally {
    await Promise.all([sides.all.close(), sides.one.close(), sides.inserts.close()]);
    await stopNodes(nodes);
  }
  const ours = summary(turns.map((turn) => turn.all));
  const single = summary(turns.map((turn) => turn.one));
  const theirs = summary(turns.map((turn) => turn.inserts));
  const how = `changes through the API, ${USERS} users, ${BATCH} at once`;
  return [
    figure('ingest_vs_pg', ours.perS / theirs.perS, 'at least 0.5', 'the next by pg_per_s'),
    figure('ingest_per_s', ours.perS, '', `${how}, ${nodes.length} nodes`),
    figure('ingest_one_node_per_s', single.perS, '', `${how}, one node`),
    figure('pg_per_s', theirs.perS, '', 'the same rows by plain INSERTs'),
    figure('ingest_p99_ms', ours.p99Ms, '', 'of a push'),
    figure('ingest_server_us', ours.serverUs, '', 'processor time of a change in the server'),
    figure('ingest_database_us', ours.databaseUs, '', 'in PostgreSQL'),
    figure('pg_database_us', theirs.databaseUs, '', 'of a plain row in PostgreSQL'),
    figure('ingest_client_us', ours.clientUs, '', 'of a change in this process'),
    figure('pg_client_us', theirs.clientUs, '', 'of a plain row in this process'),
  ];
}

/** The API alone on the built-in database. */
export async function pgliteFigures(folder: string): Promise<Figure[]> {
  // a run would begin here and take the processor
  const nodes = await startNodes(folder, {}, 1);
  const api = await apiSide(nodes, folder, { content: contact, users: 'user' });
  const turns: Turn[] = [];
  try {
    for (let turn = 0; turn < WARM_UP + TURNS; turn += 1)
      turns.push(await timeTurn(api, turn, () => Promise.resolve(0)));
  } finally {
    await api.close();
    await stopNodes(nodes);
  }
  const { perS, p99Ms, serverUs } = summary(turns);
  return [
    figure('ingest_pglite_per_s', perS, '', 'changes through the API on PGlite'),
    figure('ingest_pglite_p99_ms', p99Ms, '', 'of a push'),
    figure('ingest_pglite_us', serverUs, '', 'processor time of a change, database and all'),
  ];
}

function figure(key: string, value: number, reach: string, from: string): Figure {
  return { key, value, reach, from };
}

const PUSH = `mutation ($input: PushChangesInput!) { pushChanges(input: $input) { __typename
  ... on PushAccepted { lastMutationId results { mutationId outcome reason changeSeq } }
  ... on PushGap { expectedMutationId } } }`;
const REGISTER = `mutation ($input: RegisterDeviceInput!) { registerDevice(input: $input) { lastMutationId } }`;

/** Servers that share what is there; without a database to share, one that has its own. */
async function startNodes(
  dataDir: string,
  env: Readonly<Record<string, string>>,
  count: number,
): Promise<readonly Node[]> {
  const role = 'DATABASE_URL' in env ? 'serve' : 'all';
  const flags = ['--port', '0', '--data', dataDir, '--model', 'tiny', '--modes', 'subject'];
  // as in the image, with no flags of Node
  const given = { ...env, NODE_ENV: 'production' };
  const nodes: Node[] = [];
  for (let i = 0; i < count; i += 1) {
    const server = new AttuneProcess([role, ...flags, '--log-level', 'error'], given, []);
    nodes.push({ server, url: await server.printed(/running at (\S+)/) });
  }
  return nodes;
}

async function stopNodes(nodes: readonly Node[]): Promise<void> {
  for (const { server } of nodes) server.kill('SIGTERM');
  await Promise.all(nodes.map(({ server }) => server.exit()));
}

/** Phones of users of their own, each at one of the servers. */
async function apiSide(
  nodes: readonly Node[],
  dataDir: string,
  { content, users }: { content: Content; users: string },
): Promise<Side> {
  const phones = await Promise.all(
    Array.from({ length: USERS }, async (_, i) => {
      const token = await issueToken(dataDir, `${users}-${i}`, systemClock);
      const { url } = must(nodes[i % nodes.length], 'there are servers');
      const phone = await openConnection({ url, token });
      const input = { deviceId: 'phone', name: 'Phone', platform: 'bench' };
      await phone.ask(JSON.stringify({ query: REGISTER, variables: { input } }));
      return phone;
    }),
  );
  return {
    prepare: (user, batch) => {
      const phone = must(phones[user], 'every user has a phone');
      const first = batch * BATCH + 1;
      const changes = changesOf(content, batch).map((change, i) => ({
        ...change,
        mutationId: first + i,
      }));
      const input = { deviceId: 'phone', changes };
      const body = JSON.stringify({ query: PUSH, variables: { input } });
      return async () => {
        const answer = await phone.ask(body);
        const isWhole = answer.includes(`"lastMutationId":${first + BATCH - 1}`);
        if (!isWhole || answer.includes('REJECTED')) throw new Error(answer.slice(0, 500));
      };
    },
    serverMs: async () => {
      const each = await Promise.all(nodes.map(({ server }) => processorMs(server.pid)));
      return each.reduce((sum, ms) => sum + ms, 0);
    },
    close: () => {
      for (const phone of phones) phone.close();
      return Promise.resolve();
    },
  };
}

/** Reads the processor time of the database's server. */
async function databaseClock(databaseUrl: string): Promise<() => Promise<number>> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  const { rows } = await client.query<{ pid: string }>(
    `select split_part(pg_read_file('postmaster.pid'), e'\\n', 1) as pid`,
  );
  await client.end();
  const postmaster = Number(must(rows[0], 'one row was asked for').pid);
  return () => familyProcessorMs(postmaster);
}

interface Turn extends Omit<Ingest, 'p99Ms'> {
  /** Milliseconds of each batch. */
  readonly latencies: readonly number[];
}

/** All users at once, each batch after batch. */
async function timeTurn(
  side: Side,
  turn: number,
  databaseMs: () => Promise<number>,
): Promise<Turn> {
  const sends = Array.from({ length: USERS }, (_, user) =>
    Array.from({ length: BATCHES }, (_batch, i) => side.prepare(user, turn * BATCHES + i)),
  );
  const spent = async () => ({
    server: await side.serverMs(),
    database: await databaseMs(),
    client: (process.cpuUsage().user + process.cpuUsage().system) / 1000,
  });
  const before = await spent();
  const startedAt = performance.now();
  const latencies = (await Promise.all(sends.map(sendInOrder))).flat();
  const seconds = (performance.now() - startedAt) / 1000;
  const after = await spent();
  const changes = USERS * BATCHES * BATCH;
  const us = (of: keyof typeof before) => ((after[of] - before[of]) * 1000) / changes;
  return {
    perS: changes / seconds,
    latencies,
    ...{ serverUs: us('server'), databaseUs: us('database'), clientUs: us('client') },
  };
}

async function sendInOrder(sends: readonly (() => Promise<unknown>)[]): Promise<number[]> {
  const latencies: number[] = [];
  for (const send of sends) {
    const sentAt = performance.now();
    await send();
    latencies.push(performance.now() - sentAt);
  }
  return latencies;
}

function summary(all: readonly Turn[]): Ingest {
  const turns = all.slice(WARM_UP);
  process.stderr.write(`  ${turns.map(({ perS }) => perS.toFixed(0)).join(', ')}\n`);
  const latencies = turns.flatMap((turn) => turn.latencies).sort((a, b) => a - b);
  const middle = (of: 'perS' | 'serverUs' | 'databaseUs' | 'clientUs') =>
    median(turns.map((turn) => turn[of]));
  return {
    perS: middle('perS'),
    p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN,
    serverUs: middle('serverUs'),
    databaseUs: middle('databaseUs'),
    clientUs: middle('clientUs'),
  };
}
