// Every process of a deployment is told to stop and started again, one after the other, while devices push, ask and follow
// their feeds: nothing fails at two servers, no event is missing or comes twice. Taking its time, it kills and stops them
// too, or an engine or a trainer that one of them has started.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readMailbox } from '../../demo/mailbox.ts';
import { issueToken } from '../../src/auth/tokens.ts';
import { upToDateThrough } from '../../src/dataset/up-to-date.ts';
import { openDatabase } from '../../src/db/database.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import { AttuneProcess } from '../support/attune-process.ts';
import { newPostgresUrl, redisUrl } from '../support/databases.ts';
import { shouldRunWith } from '../support/programs.ts';
import { RoamingDevice } from '../support/roaming-device.ts';
import { announceSeed, randomFrom } from '../support/seed.ts';
import { freePort } from '../support/server-process.ts';
import { soakRuns } from '../support/soak.ts';
import { loadShippedModes } from '../support/test-user.ts';

const MODE = 'subject';
const ROUNDS = soakRuns(1);
const USERS = 2;
/** Records that are pushed again and again while servers restart. */
const RECORDS = 12;
const PAUSE_MS = 100;
const PUSHES_PER_QUESTION = 5;
/** Longer than the queue waits for a silent trainer. */
const STOPPED_MS = 60_000;
const hasServers = shouldRunWith('postgres') && shouldRunWith('redis-server');

let folder: string;
const running = new Map<string, AttuneProcess>();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-rolling-'));
});
afterEach(async () => {
  for (const node of running.values()) node.kill('SIGKILL');
  for (const node of running.values()) await node.exit();
  running.clear();
  await rm(folder, { recursive: true });
});

test.skipIf(!hasServers)(
  'a rolling restart fails no push and neither loses nor doubles an event',
  async () => {
    const random = randomFrom(announceSeed('rolling-restart.test.ts'));
    const servers = { DATABASE_URL: await newPostgresUrl(), REDIS_URL: await redisUrl() };
    const ports = [await freePort(), await freePort()];
    const nodes: readonly (readonly [string, readonly string[], RegExp])[] = [
      ['first', ['serve', '--port', String(ports[0])], /running at/],
      ['second', ['serve', '--port', String(ports[1])], /running at/],
      ['third', ['train'], /is training/],
      // so that a run moves on while its trainer is stopped
      ...(ROUNDS > 1 ? [['fourth', ['train'], /is training/] as const] : []),
    ];
    const start = async ([name, args, isUp]: (typeof nodes)[number]) => {
      const node = new AttuneProcess([...args, '--data', join(folder, name)], settings(servers));
      running.set(name, node);
      await node.printed(isUp);
    };
    await Promise.all(nodes.map(start));
    const urls = ports.map((port) => `http://127.0.0.1:${port}`);
    const devices = await Promise.all(Array.from({ length: USERS }, (_, i) => joined(urls, i)));
    const over = new AbortController();
    const following = devices.map((device) => device.follow(over.signal));
    const restarted = new AbortController();
    const pushing = devices.map((device) => pushUntil(device, restarted.signal));
    const befallen: Record<string, number> = {};
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const node of nodes) {
        const fate = round === 0 ? 'SIGTERM' : fateOf(random());
        const what = await befall(must(running.get(node[0]), 'it was started'), fate, random());
        befallen[what.name] = (befallen[what.name] ?? 0) + 1;
        if (what.hasEnded) await start(node);
      }
    }
    restarted.abort();
    const pushes = await Promise.all(pushing);
    const feeds = await settledFeeds(servers.DATABASE_URL);
    expect(Math.min(...feeds)).toBeGreaterThan(0);
    for (const [i, device] of devices.entries()) {
      await expect.poll(() => device.cursors.length, { timeout: 30_000 }).toBe(feeds[i]);
      expect(new Set(device.cursors).size).toBe(feeds[i]);
    }
    over.abort();
    await Promise.all(following);
    const sum = (of: readonly number[]) => of.reduce((total, each) => total + each, 0);
    const retries = sum(devices.map((device) => device.retries));
    process.stdout.write(
      `rolling-restart: ${JSON.stringify(befallen)}, ${sum(pushes)} pushes, ${retries} mutations at a second server, ${sum(feeds)} events\n`,
    );
    await Promise.all(devices.map((device) => device.close()));
  },
  400_000 + 80_000 * ROUNDS,
);

type Fate = 'SIGTERM' | 'SIGKILL' | 'SIGSTOP';

/** What happens to a process after the first round, in which each is told to stop. */
function fateOf(chance: number): Fate {
  if (chance < 0.2) return 'SIGTERM';
  return chance < 0.9 ? 'SIGKILL' : 'SIGSTOP';
}

/** A worker of the process in half of the cases in which it has some. */
function pick(workers: readonly number[], chance: number): number | undefined {
  return workers[Math.floor(chance * 2 * workers.length)];
}

/** What happened to whom. */
interface Befallen {
  readonly name: string;
  /** Whether the process of the server or trainer is gone. */
  readonly hasEnded: boolean;
}

/** Kills or stops the process, or one of its workers; whoever is stopped goes on after a minute. */
async function befall(node: AttuneProcess, fate: Fate, chance: number): Promise<Befallen> {
  const worker = fate === 'SIGTERM' ? undefined : pick(await node.workers(), chance);
  const send = (signal: NodeJS.Signals) =>
    worker === undefined ? node.kill(signal) : signalTo(worker, signal);
  send(fate);
  const hasEnded = worker === undefined && fate !== 'SIGSTOP';
  if (hasEnded) await node.exit();
  if (fate === 'SIGSTOP') {
    await systemClock.sleep(STOPPED_MS);
    send('SIGCONT');
  }
  return { name: worker === undefined ? fate : `${fate} of a worker`, hasEnded };
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // a trainer that has done its work, or an engine that was given up meanwhile
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function settings(servers: Readonly<Record<string, string>>): Record<string, string> {
  return {
    ...servers,
    ...{ ATTUNE_MODEL: 'tiny', ATTUNE_MODES: MODE, ATTUNE_THREADS: '1', ATTUNE_LOG_LEVEL: 'error' },
    ...{ ATTUNE_CACHE: join(folder, 'cache'), ATTUNE_KEYS: join(folder, 'keys') },
    BLOB_URL: pathToFileURL(join(folder, 'blobs')).href,
  };
}

/** A user's device with enough mails to learn from. */
async function joined(urls: readonly string[], number: number): Promise<RoamingDevice> {
  const token = await issueToken(join(folder, 'keys'), `user-${number}`, systemClock);
  const device = new RoamingDevice(urls, token);
  await device.register();
  await device.push(readMailbox().map((mail) => ({ ...mail, kind: 'UPSERT' })));
  return device;
}

/** Pushes one mail after the other, with a question now and then; returns how many pushes. Throws when something fails twice. */
async function pushUntil(device: RoamingDevice, signal: AbortSignal): Promise<number> {
  const mails = readMailbox();
  let count = 0;
  while (!signal.aborted) {
    const mail = must(mails[count % mails.length], 'a mail');
    await device.push([{ ...mail, recordId: `more-${count % RECORDS}`, kind: 'UPSERT' }]);
    if (count % PUSHES_PER_QUESTION === 0) await device.ask(MODE, { body: mail.data.body });
    count += 1;
    await systemClock.sleep(PAUSE_MS);
  }
  return count;
}

/** Waits until all that was pushed is learnt, or known to teach nothing; then how many events each user's feed has, the
 *  first user first. */
async function settledFeeds(databaseUrl: string): Promise<number[]> {
  const database = await openDatabase({ dataDir: join(folder, 'keys'), databaseUrl });
  const db = database.kysely;
  const mode = (await loadShippedModes()).mode(MODE);
  const users = () =>
    db
      .selectFrom('users')
      .select(['id', 'subject', 'changeSeq', 'feedSeq'])
      .where('subject', 'like', 'user-%')
      .orderBy('subject')
      .execute();
  const isSettled = async () => {
    const known = (await users()).map(
      async ({ id, changeSeq }) => (await upToDateThrough(db, id, mode)) === changeSeq,
    );
    return (await Promise.all(known)).every(Boolean);
  };
  await expect.poll(isSettled, { timeout: 180_000, interval: 500 }).toBe(true);
  const feeds = (await users()).map(({ feedSeq }) => feedSeq);
  await database.close();
  return feeds;
}
