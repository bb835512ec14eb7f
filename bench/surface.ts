// The API's cost: what the gate adds to Apollo Server, requests per second beside GraphQL Yoga, and ten thousand subscribers
// on one process. Needs PostgreSQL on this machine. Prints a table and, last, one line of JSON.
//   --only small,fanout    some parts alone
//   --subscribers 10000    how many

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { say, showTable } from '../demo/show.ts';
import { systemClock } from '../src/lib/clock.ts';
import { LIMITS } from '../src/transport/limits.ts';
import { startServers } from './scale/servers.ts';
import { type Contender, startContender } from './surface/contender.ts';
import { latencies, throughput } from './surface/load.ts';

const TURNS = 5;
const REQUESTS = 400;
const LOAD = { connections: 16, seconds: 2 };
const ROUNDS = 3;
const SETTLE_MS = 2_000;

const NONE = { ms: Number.NaN, perS: Number.NaN };
const TARGETS: Readonly<Record<string, string>> = {
  gate_overhead_ms: 'at most 1',
  rps_vs_yoga: 'at least 1',
  fanout10k_p99_ms: 'at most 500',
  fanout10k_rss_mb: 'at most 400',
};

const ATTUNE = new URL('./surface/attune-child.ts', import.meta.url);
const GRAPHQL_WS = new URL('./surface/graphql-ws-child.ts', import.meta.url);
const APOLLO = new URL('./surface/apollo-child.ts', import.meta.url);
const YOGA = new URL('./peers/yoga-child.ts', import.meta.url);
const PHONES = new URL('./surface/subscribers-child.ts', import.meta.url);
const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: 'small,fanout' },
    subscribers: { type: 'string', default: '10000' },
  },
});

const subscriberCount = Number(options.subscribers);

const servers = await startServers();
const dataDir = await mkdtemp(join(tmpdir(), 'attune-surface-'));
try {
  const parts = options.only.split(',');
  const small = parts.includes('small') ? await measureSmall(await servers.newDatabase()) : {};
  const fanout = parts.includes('fanout') ? await measureFanout(await servers.newDatabase()) : {};
  const figures = { ...small, ...fanout };
  showTable(
    ['figure', 'measured', 'target'],
    Object.entries(figures).map(([name, value]) => [name, `${value}`, TARGETS[name] ?? '']),
  );
  say(JSON.stringify(figures));
} finally {
  await servers.stop();
  await rm(dataDir, { recursive: true });
}

/** One small query, in turns, so that whatever else the machine does befalls all alike. */
async function measureSmall(databaseUrl: string) {
  const contenders = await Promise.all([
    startContender(ATTUNE, { dataDir, databaseUrl, users: 1 }),
    startContender(APOLLO),
    startContender(YOGA),
  ]);
  const turns: { ms: number; perS: number }[][] = contenders.map(() => []);
  // the first turn warms up
  for (let turn = 0; turn <= TURNS; turn += 1) {
    for (const [i, contender] of contenders.entries()) {
      const measured = await measureTurn(contender);
      if (turn > 0) turns[i]?.push(measured);
    }
  }
  for (const contender of contenders) await contender.close();
  const [attune = NONE, apollo = NONE, yoga = NONE] = turns.map((each) => ({
    ms: median(each.map(({ ms }) => ms)),
    perS: median(each.map(({ perS }) => perS)),
  }));
  return {
    gate_overhead_ms: round(attune.ms - apollo.ms),
    rps_vs_yoga: round(attune.perS / yoga.perS),
    attune_rps: round(attune.perS),
    apollo_rps: round(apollo.perS),
    yoga_rps: round(yoga.perS),
  };
}

async function measureTurn({ url, tokens: [token = ''] }: Contender) {
  const ms = median(await latencies({ url, token }, REQUESTS));
  return { ms, perS: await throughput({ url, token }, LOAD) };
}

/** Every user has as many phones as one may, and all users get an adapter at the same moment. Beside it, graphql-ws alone. */
async function measureFanout(databaseUrl: string) {
  const users = subscriberCount / LIMITS.socketsPerUser;
  const peer = await fanOut(await startContender(GRAPHQL_WS));
  const own = await fanOut(await startContender(ATTUNE, { dataDir, databaseUrl, users }));
  return {
    fanout10k_p99_ms: round(own.p99Ms),
    fanout10k_rss_mb: round(own.rssMb),
    fanout10k_p99_vs_graphql_ws: round(own.p99Ms / peer.p99Ms),
    fanout10k_rss_vs_graphql_ws: round(own.rssMb / peer.rssMb),
    start_rss_mb: round(own.startRssMb),
    graphql_ws_p99_ms: round(peer.p99Ms),
    graphql_ws_rss_mb: round(peer.rssMb),
  };
}

/** Subscribes all phones and hands them a few events each; how long the slowest hundredth waited, and the server's memory. */
async function fanOut(server: Contender) {
  const rssMb = async () => (await server.ask<number>('rss')) / 2 ** 20;
  const startRssMb = await rssMb();
  const { url, tokens } = server;
  const subscribers = await startContender(PHONES, { url, tokens, count: subscriberCount });
  const p99s: number[] = [];
  for (let turn = 0; turn < ROUNDS; turn += 1) {
    const wokenAt = await server.ask<number>('publish');
    const heardAt = await subscribers.ask<number[]>('heard');
    // what the round has left behind is no part of the next one
    await systemClock.sleep(SETTLE_MS);
    const waits = heardAt.map((moment) => moment - wokenAt).sort((a, b) => a - b);
    p99s.push(waits[Math.floor(waits.length * 0.99)] ?? 0);
  }
  const measured = { p99Ms: median(p99s), rssMb: await rssMb(), startRssMb };
  await subscribers.close();
  await server.close();
  return measured;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function round(value: number): number {
  return Number(value.toFixed(3));
}
