// How long an engine that dies is away: from its kill -9 until the next one has answered.

import { startEngine } from '../../src/inference/engine-client.ts';
import type { EngineRequest } from '../../src/inference/engine-protocol.ts';
import { must } from '../../src/lib/errors.ts';
import { enginePids } from '../../test/support/inference/engine-pids.ts';
import { type Figure, median } from './figure.ts';
import type { Bench } from './sides.ts';
import type { Workload } from './workload.ts';

const KILLS = 5;

/** Kills the engine and asks for one token, which the next engine writes. */
export async function restarts(
  { base, threads }: Bench,
  workload: Workload,
): Promise<readonly Figure[]> {
  const request: EngineRequest = {
    ...{ promptIds: workload.prompt(1, 16), adapter: null, userId: 'user' },
    ...{ maxTokens: 1, temperature: 0, topP: 1, seed: null, stop: [] },
  };
  const engine = await startEngine({ baseDir: base.dir, threads });
  const seconds: number[] = [];
  try {
    for (let kill = 0; kill < KILLS; kill += 1) {
      const [pid] = await enginePids();
      const killedAt = performance.now();
      process.kill(must(pid, 'a running engine'), 'SIGKILL');
      for await (const _ of engine.generate(request, new AbortController().signal));
      seconds.push((performance.now() - killedAt) / 1000);
    }
  } finally {
    await engine.close();
  }
  const from = seconds.map((one) => `${one.toFixed(2)} s`).join(', ');
  return [{ key: 'engine_restart_s', value: median(seconds), reach: '3 at most', from }];
}
