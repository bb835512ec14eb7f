// A server dies with half of all subscribers: they come back to the other one all at once, and hear what they have missed,
// once. Taking its time, five thousand of them.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { publishAdapter } from '../../src/adapters/publish.ts';
import { liveAdapter } from '../../src/adapters/registry.ts';
import { issueToken, openAuthenticator } from '../../src/auth/tokens.ts';
import { ensureUser } from '../../src/changes/users.ts';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { openPostgresWakeups } from '../../src/db/postgres-wakeups.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { forkScript } from '../../src/lib/fork-script.ts';
import { toGlobalId } from '../../src/lib/global-id.ts';
import type { Wakeups } from '../../src/lib/wakeups.ts';
import { candidateOf, fullStore } from '../adapters/fixture.ts';
import type { CrowdState } from '../support/faults/returning-subscribers.ts';
import { announceSeed } from '../support/seed.ts';
import { newPostgresUrl } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';
import { soakRuns } from '../support/soak.ts';

const SUBSCRIBERS = soakRuns(300);
const USERS = Math.ceil(SUBSCRIBERS / 40);
/** What a server may take with all of them. */
const MOST_BYTES = 400 * 2 ** 20;

const NODE = new URL('../support/faults/storm-node.ts', import.meta.url);
const CROWD = new URL('../support/faults/returning-subscribers.ts', import.meta.url);

let keysDir: string;
let database: Database;
let wakeups: Wakeups;
const children: ChildProcess[] = [];
beforeAll(async () => {
  keysDir = await mkdtemp(join(tmpdir(), 'attune-storm-'));
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await wakeups?.close();
  await database?.close();
  await rm(keysDir, { recursive: true });
});

test.skipIf(!shouldRunWith('postgres'))(
  `${SUBSCRIBERS} subscribers hear all that happened while their server died, once`,
  async () => {
    const databaseUrl = await newPostgresUrl();
    database = await openDatabase({ dataDir: keysDir, databaseUrl });
    wakeups = await openPostgresWakeups({ pool: database.pool, databaseUrl }, () => undefined);
    // the key that all servers share
    await openAuthenticator(keysDir, systemClock);
    const nodes = [start(NODE, { keysDir, databaseUrl }), start(NODE, { keysDir, databaseUrl })];
    const urls = await Promise.all(
      nodes.map(async (node) => (await said<{ url: string }>(node)).url),
    );
    const names = Array.from({ length: USERS }, (_, i) => `user-${i}`);
    const tokens = await Promise.all(names.map((name) => issueToken(keysDir, name, systemClock)));
    const seed = announceSeed('reconnect-storm.test.ts');
    const crowd = start(CROWD, { urls, tokens, count: SUBSCRIBERS, seed });
    expect((await said<CrowdState>(crowd)).subscribed).toBe(SUBSCRIBERS);
    for (const name of names) await publish(name, 'first');
    const haveHeard = (events: number) =>
      expect
        .poll(() => ask<CrowdState>(crowd), { interval: 250 })
        .toEqual({
          ...{ subscribed: SUBSCRIBERS, heard: { [events]: SUBSCRIBERS }, doubled: 0 },
          ...{ returns: expect.any(Number), adapterIds: expect.any(Array) },
        });
    await haveHeard(1);
    const diedAt = performance.now();
    nodes[0]?.kill('SIGKILL');
    for (const name of names) await publish(name, 'second');
    await haveHeard(2);
    const tookMs = performance.now() - diedAt;
    const [, survivor = crowd] = nodes;
    const { rssBytes, sockets } = await ask<{ rssBytes: number; sockets: number }>(survivor);
    expect(sockets).toBe(SUBSCRIBERS);
    expect(rssBytes).toBeLessThan(MOST_BYTES);
    const { returns, adapterIds } = await ask<CrowdState>(crowd);
    for (const [i, name] of names.entries())
      expect(adapterIds[i]?.toSorted()).toEqual((await adaptersOf(name)).toSorted());
    process.stdout.write(
      `reconnect-storm: ${SUBSCRIBERS / 2} of ${SUBSCRIBERS} came back in ${returns} attempts, all caught up ` +
        `${Math.round(tookMs)} ms after the kill, the server at ${Math.round(rssBytes / 2 ** 20)} MB\n`,
    );
  },
  300_000,
);

function start(script: URL, options: object): ChildProcess {
  const { child } = forkScript(script);
  children.push(child);
  child.send(options);
  return child;
}

async function said<T>(child: ChildProcess): Promise<T> {
  const heard = new AbortController();
  const { signal } = heard;
  const ended = once(child, 'exit', { signal }).then(() => {
    throw new Error('the process has ended');
  });
  // called off once it has said something
  ended.catch(() => undefined);
  try {
    return (await Promise.race([once(child, 'message', { signal }), ended]))[0];
  } finally {
    heard.abort();
  }
}

function ask<T>(child: ChildProcess): Promise<T> {
  const answer = said<T>(child);
  child.send('how are you');
  return answer;
}

async function adaptersOf(name: string): Promise<string[]> {
  const adapters = await database.kysely
    .selectFrom('adapters')
    .innerJoin('users', 'users.id', 'adapters.userId')
    .select('adapters.id')
    .where('users.subject', '=', name)
    .execute();
  return adapters.map(({ id }) => toGlobalId('Adapter', id));
}

async function publish(name: string, content: string): Promise<void> {
  const { kysely: db } = database;
  const { id: userId } = await ensureUser(db, name, new Date());
  const run = { userId, mode: 'subject', status: 'RUNNING' as const, forced: false, attempt: 1 };
  const { id: runId } = await db
    .insertInto('runs')
    .values({ ...run, losses: '[]', queuedAt: new Date() })
    .returning('id')
    .executeTakeFirstOrThrow();
  const parentId = (await liveAdapter(db, userId, 'subject'))?.id ?? null;
  const deps = { db, wakeups, clock: systemClock, store: fullStore };
  const claim = { runId, attempt: 1, userId, mode: 'subject' };
  await publishAdapter(deps, claim, candidateOf(content, { parentId }));
}
