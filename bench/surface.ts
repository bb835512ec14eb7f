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
import { type Contender, startContender, type Use } from './surface/contender.ts';
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

/** Every user has as many phones as one may, and all users get an adapter at the same moment. Beside it, graphql-ws alone. What
 *  is told was published by another process, as trainers do. */
async function measureFanout(databaseUrl: string) {
  const users = subscriberCount / LIMITS.socketsPerUser;
  const peer = await fanOut(await startContender(GRAPHQL_WS), () => Promise.resolve([]));
  const start = () => startContender(ATTUNE, { dataDir, databaseUrl, users });
  const publisher = await start();
  const own = await fanOut(await start(), () => publisher.ask('publish'));
  await publisher.close();
  return {
    fanout10k_p99_ms: round(own.p99Ms),
    fanout10k_rss_mb: round(own.rssMb),
    fanout10k_p99_vs_graphql_ws: round(own.p99Ms / peer.p99Ms),
    fanout10k_rss_vs_graphql_ws: round(own.rssMb / peer.rssMb),
    start_rss_mb: round(own.startRssMb),
    fanout10k_processor_ms: round(own.processorMs),
    phones_processor_ms: round(own.phonesProcessorMs),
    graphql_ws_p99_ms: round(peer.p99Ms),
    graphql_ws_rss_mb: round(peer.rssMb),
    graphql_ws_processor_ms: round(peer.processorMs),
  };
}

/** Subscribes all phones and hands them a few events each; how long the slowest hundredth waited, the server's memory, and the
 *  processor time of an event to all, here and there. */
async function fanOut(server: Contender, publish: () => Promise<readonly string[]>) {
  const rssMb = async () => (await server.ask<Use>('use')).rssBytes / 2 ** 20;
  const startRssMb = await rssMb();
  const { url, tokens } = server;
  const subscribers = await startContender(PHONES, { url, tokens, count: subscriberCount });
  const rounds: Record<'p99Ms' | 'processorMs' | 'phonesProcessorMs', number>[] = [];
  for (let turn = 0; turn < ROUNDS; turn += 1) {
    const topics = await publish();
    const before = await usesOf(server, subscribers);
    const wokenAt = await server.ask<number>({ topics });
    const heardAt = await subscribers.ask<number[]>('heard');
    const after = await usesOf(server, subscribers);
    // what the round has left behind is no part of the next one
    await systemClock.sleep(SETTLE_MS);
    const waits = heardAt.map((moment) => moment - wokenAt).sort((a, b) => a - b);
    rounds.push({
      p99Ms: waits[Math.floor(waits.length * 0.99)] ?? 0,
      processorMs: after.server - before.server,
      phonesProcessorMs: after.phones - before.phones,
    });
  }
  const measured = {
    p99Ms: median(rounds.map(({ p99Ms }) => p99Ms)),
    processorMs: median(rounds.map(({ processorMs }) => processorMs)),
    phonesProcessorMs: median(rounds.map(({ phonesProcessorMs }) => phonesProcessorMs)),
    ...{ rssMb: await rssMb(), startRssMb },
  };
  await subscribers.close();
  await server.close();
  return measured;
}

async function usesOf(server: Contender, phones: Contender) {
  const [ofServer, ofPhones] = [await server.ask<Use>('use'), await phones.ask<Use>('use')];
  return { server: ofServer.processorMs, phones: ofPhones.processorMs };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function round(value: number): number {
  return Number(value.toFixed(3));
}
