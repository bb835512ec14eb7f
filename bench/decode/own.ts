// What our engine costs beside the model itself: adapters against none, many adapters against few, loading one.

import { must } from '../../src/lib/errors.ts';
import { randomNumbers } from '../../test/support/model/random-llama.ts';
import type { Figure } from './figure.ts';
import type { Sides } from './sides.ts';
import { inTurns } from './turns.ts';
import type { Workload } from './workload.ts';

const PROMPT_TOKENS = 128;

/** Eight users with adapters of their own against eight without any. */
export async function adapterSlowdown(sides: Sides, workload: Workload): Promise<Figure[]> {
  const rows = await workload.users(8, PROMPT_TOKENS);
  const bare = rows.map((row) => ({ ...row, adapter: null }));
  const { adapted, base } = await inTurns(
    {
      adapted: () => sides.ask('ours', { kind: 'decode', rows, tokens: 64 }),
      base: () => sides.ask('ours', { kind: 'decode', rows: bare, tokens: 64 }),
    },
    5,
  );
  const from = `${adapted.toFixed(1)} with, ${base.toFixed(1)} tok/s with rows of the bare base`;
  return [{ key: 'adapter_slowdown_b8', value: 1 - adapted / base, reach: '0.15 at most', from }];
}

const REQUESTS = 96;
const MANY = 1000;
const FEW = 16;
const SERVED = { clients: 16, tokens: 24 } as const;
const SHORT_PROMPT_TOKENS = 64;

/** Short requests of 1,000 users in turn, and by Zipf's law, against those of 16 users. Only adapters that a request asks
 *  for are written: of the others nothing would be read. The engine has met each adapter before, once, but keeps about
 *  fifty in memory: of those that are asked for in turn each is read from its file again. */
export async function manyAdapters(sides: Sides, workload: Workload): Promise<Figure[]> {
  const random = randomNumbers(1);
  const orders = {
    few: Array.from({ length: REQUESTS }, (_, i) => i % FEW),
    roundRobin: Array.from({ length: REQUESTS }, (_, i) => (i * 7 + 100) % MANY),
    zipf: Array.from({ length: REQUESTS }, () => zipf(random(), MANY)),
  };
  const few = await serve(sides, workload, orders.few);
  const roundRobin = await serve(sides, workload, orders.roundRobin);
  const zipfian = await serve(sides, workload, orders.zipf);
  const fewAgain = await serve(sides, workload, orders.few);
  const best = { rate: mean(few.rate, fewAgain.rate), p95: mean(few.p95, fewAgain.p95) };
  const rates = [best, roundRobin, zipfian].map(({ rate }) => rate.toFixed(2));
  const p95s = [best, roundRobin, zipfian].map(({ p95 }) => p95.toFixed(0));
  return [
    {
      key: 'adapters1000_throughput',
      value: Math.min(roundRobin.rate, zipfian.rate) / best.rate,
      reach: '0.95',
      from: `16: ${rates[0]} answers/s; 1,000 round-robin ${rates[1]}, zipf ${rates[2]}`,
    },
    {
      key: 'adapters1000_p95',
      value: Math.max(roundRobin.p95, zipfian.p95) / best.p95,
      reach: '2 at most',
      from: `16: ${p95s[0]} ms; 1,000 round-robin ${p95s[1]}, zipf ${p95s[2]}`,
    },
  ];
}

async function serve(sides: Sides, workload: Workload, order: readonly number[]) {
  const rows = await workload.usersOf(order, SHORT_PROMPT_TOKENS);
  await sides.askAll('ours', { kind: 'serve', rows, ...SERVED });
  const [seconds, ...latencies] = await sides.askAll('ours', { kind: 'serve', rows, ...SERVED });
  const sorted = latencies.sort((a, b) => a - b);
  const rate = rows.length / must(seconds, 'seconds');
  const p95 = percentile95(sorted);
  process.stderr.write(`  ${rate.toFixed(2)} answers/s, p95 ${p95.toFixed(0)} ms\n`);
  return { rate, p95 };
}

/** A rank from 0, drawn with a probability that is proportional to 1 / (rank + 1). */
function zipf(share: number, count: number): number {
  const weights = Array.from({ length: count }, (_, rank) => 1 / (rank + 1));
  let left = share * weights.reduce((sum, weight) => sum + weight, 0);
  return weights.findIndex((weight) => {
    left -= weight;
    return left < 0;
  });
}

/** From an adapter's files into a slot: reading, every check, laying out, copying. */
export async function slotLoads(sides: Sides, workload: Workload): Promise<Figure[]> {
  const rows = await workload.users(32, 1);
  const adapters = rows.flatMap(({ adapter }) => (adapter === null ? [] : [adapter]));
  const times = [...(await sides.askAll('ours', { kind: 'slots', adapters }))].sort(
    (a, b) => a - b,
  );
  const middle = must(times[times.length >> 1], 'times').toFixed(1);
  const from = `median ${middle} ms; files in the page cache`;
  return [{ key: 'slot_load_p95_ms', value: percentile95(times), reach: '10 at most', from }];
}

function percentile95(sorted: readonly number[]): number {
  return must(sorted[Math.ceil(sorted.length * 0.95) - 1], 'values');
}

function mean(a: number, b: number): number {
  return (a + b) / 2;
}
