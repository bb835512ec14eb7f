import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { queueRuns } from '../../src/changes/queue-run.ts';
import { ensureUser } from '../../src/changes/users.ts';
import type { Db } from '../../src/db/database.ts';
import type { EngineEvent } from '../../src/inference/engine-protocol.ts';
import { newRedisClient, PATIENT, watchRedis } from '../../src/lib/redis-client.ts';
import { measuredEngine } from '../../src/operations/measured-engine.ts';
import { openMetrics } from '../../src/operations/metrics.ts';
import { FakeEngine } from '../support/inference/fake-engine.ts';
import { describeEachDatabase, redisUrl } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';

describeEachDatabase('the figures', (database) => {
  it('tell of waiting and of finished runs, whoever ran them', async () => {
    const db = database().kysely;
    const now = Date.now();
    const user = await ensureUser(db, randomUUID(), new Date(now));
    await queueRuns(db, user.id, ['subject'], { now: new Date(now - 60_000) });
    const done = { userId: user.id, mode: 'reply', status: 'PUBLISHED' as const, forced: false };
    await db
      .insertInto('runs')
      .values({
        ...{ ...done, losses: '[]', queuedAt: new Date(now - 9_000), finishedAt: new Date(now) },
      })
      .execute();
    const metrics = openMetrics();
    metrics.watch(db, () => 3);
    const text = await metrics.text();
    expect(text).toMatch(/^attune_queue_depth 1$/m);
    expect(Number(text.match(/^attune_queue_oldest_seconds (.*)$/m)?.[1])).toBeGreaterThan(59);
    expect(text).toMatch(/^attune_runs_finished\{outcome="PUBLISHED"\} 1$/m);
    expect(text).toMatch(/^attune_change_to_live_seconds\{quantile="0.5"\} 9$/m);
    expect(text).toMatch(/^attune_sockets 3$/m);
  });
});

describe.skipIf(!shouldRunWith('redis-server'))('the time that Redis takes', () => {
  it('is told of each command that waits for nothing, until nobody wants to know', async () => {
    const client = newRedisClient(await redisUrl(), () => undefined, PATIENT);
    await client.connect();
    const told: number[] = [];
    const unwatch = watchRedis((ms) => told.push(ms));
    await client.set('time', '1');
    await client.bzPopMin('nobody puts anything here', 0.2);
    await expect(client.hGet('time', 'no hash')).rejects.toThrow('WRONGTYPE');
    unwatch();
    await client.del('time');
    expect(told).toHaveLength(2);
    for (const ms of told) expect(ms).toBeGreaterThan(0);
    client.destroy();
  });
});

describe('the dashboard', () => {
  it('shows only figures that there are', () => {
    const file = new URL('../../docker/grafana.json', import.meta.url);
    const { panels } = JSON.parse(readFileSync(file, 'utf8')) as {
      panels: { targets: { expr: string }[] }[];
    };
    const shown = panels.flatMap(({ targets }) =>
      targets.flatMap(({ expr }) => expr.match(/attune_\w+/g)),
    );
    const metrics = openMetrics();
    metrics.watch({} as Db, () => 0);
    const known = new Set(metrics.names().flatMap((name) => [name, `${name}_bucket`]));
    expect(shown.length).toBeGreaterThan(5);
    expect(shown.filter((name) => !known.has(name ?? ''))).toEqual([]);
  });
});

describe('a measured engine', () => {
  const request = {
    ...{ promptIds: [1], adapter: null, maxTokens: 5, temperature: 0, topP: 1, seed: null },
    ...{ stop: [], userId: 'ann' },
  };

  it('says what the engine says, and counts it', async () => {
    const metrics = openMetrics();
    const engine = measuredEngine(new FakeEngine(), metrics);
    const events: EngineEvent[] = [];
    for await (const event of engine.generate(request, new AbortController().signal)) {
      events.push(event);
    }
    expect(events.at(-1)).toMatchObject({ kind: 'done', completionTokens: 5 });
    const text = await metrics.text();
    expect(text).toMatch(/^attune_tokens_total 5$/m);
    expect(text).toMatch(/^attune_time_to_first_token_seconds_count 1$/m);
    expect(text).toMatch(/^attune_answers_total\{outcome="(STOP|LENGTH)"\} 1$/m);
  });

  it('counts a failure as one', async () => {
    const metrics = openMetrics();
    const broken = new FakeEngine();
    broken.failure = new Error('no engine');
    const answer = measuredEngine(broken, metrics).generate(request, new AbortController().signal);
    await expect(answer.next()).rejects.toThrow('no engine');
    expect(await metrics.text()).toMatch(/^attune_answers_total\{outcome="FAILED"\} 1$/m);
  });
});
