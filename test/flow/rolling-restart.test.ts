// Every process of a deployment is told to stop and started again, one after the other, while devices push, ask and follow
// their feeds: nothing fails at two servers, no event is missing or comes twice. Taking their time, others are killed or
// stopped for a minute, or an engine or a run's process that one of them has started.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readMailbox } from '../../demo/mailbox.ts';
import { issueToken } from '../../src/auth/tokens.ts';
import { upToDateThrough } from '../../src/dataset/up-to-date.ts';
import { openDatabase } from '../../src/db/database.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import { toGlobalId } from '../../src/lib/global-id.ts';
import { RoamingDevice } from '../support/devices/roaming-device.ts';
import { announceSeed, randomFrom } from '../support/seed.ts';
import { AttuneProcess } from '../support/servers/attune-process.ts';
import { newPostgresUrl, redisUrl } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';
import { freePort } from '../support/servers/server-process.ts';
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
/** The longest that anything is waited for; far more than it takes, as the machine may have other things to do. */
const LONGEST_WAIT_MS = 400_000;
/** What is sent to a process, or to one of its workers. */
interface Fate {
  readonly signal: 'SIGTERM' | 'SIGKILL' | 'SIGSTOP';
  readonly toWorker: boolean;
}

/** What befalls the processes: two servers, then two trainers. */
interface Story {
  readonly name: string;
  readonly rounds: number;
  /** Which of them it befalls at the same time, and in which order: a server at a time. */
  readonly together: readonly (readonly number[])[];
  fateIn(round: number, chance: number): Fate;
}

const STORIES: readonly Story[] = [
  {
    ...{ name: 'told to stop', rounds: 1, together: [[0], [1], [2], [3]] },
    fateIn: () => ({ signal: 'SIGTERM', toWorker: false }),
  },
];
const LONG_STORIES: readonly Story[] = [
  {
    ...{ name: 'killed', rounds: ROUNDS, together: [[0], [1], [2], [3]] },
    fateIn: (_, chance) => ({ signal: 'SIGKILL', toWorker: chance < 0.5 }),
  },
  {
    ...{
      name: 'stopped',
      rounds: 2,
      together: [
        [0, 2],
        [1, 3],
      ],
    },
    fateIn: (round) => ({ signal: 'SIGSTOP', toWorker: round === 1 }),
  },
];
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

describe.skipIf(!hasServers)('a deployment', () => {
  it.each(ROUNDS > 1 ? [...STORIES, ...LONG_STORIES] : STORIES)(
    'fails no push and neither loses nor doubles an event when its processes are $name',
    live,
    400_000 + 80_000 * ROUNDS,
  );
});

async function live({ name: story, rounds, together, fateIn }: Story): Promise<void> {
  const random = randomFrom(announceSeed(`rolling-restart.test.ts, ${story}`));
  const servers = { DATABASE_URL: await newPostgresUrl(), REDIS_URL: await redisUrl() };
  const ports = [await freePort(), await freePort()];
  const urls = ports.map((port) => `http://127.0.0.1:${port}`);
  const nodes: readonly Part[] = [
    ...ports.map((port, i) => server(['first', 'second'][i] ?? '', port)),
    // so that a run moves on while its trainer is stopped
    ...['third', 'fourth'].map(trainer),
  ];
  const start = async ({ name, args, isUp }: Part) => {
    const node = new AttuneProcess([...args, '--data', join(folder, name)], settings(servers));
    running.set(name, node);
    await node.printed(isUp);
  };
  await Promise.all(nodes.map(start));
  const devices = await Promise.all(Array.from({ length: USERS }, (_, i) => joined(urls, i)));
  const over = new AbortController();
  const following = devices.map((device) => device.follow(over.signal));
  const restarted = new AbortController();
  const pushing = Promise.all(devices.map((device) => pushUntil(device, restarted.signal)));
  // who has no cursor yet would be told of the newest adapters only
  const haveHeard = () => devices.every(({ events }) => events.length > 0);
  await expect.poll(haveHeard, { timeout: LONGEST_WAIT_MS }).toBe(true);
  const befallen: Record<string, number> = {};
  const befallOne = async (i: number, fate: Fate) => {
    const part = must(nodes[i], 'a part');
    const node = must(running.get(part.name), 'it was started');
    const what = await befall(node, part.args[0], fate);
    befallen[what.name] = (befallen[what.name] ?? 0) + 1;
    if (what.hasEnded) await start(part);
    // as whoever rolls a deployment waits, with an engine that answers
    if (urls[i] !== undefined) await isReady(urls[i]);
    await Promise.all(devices.map(hasMovedOn));
  };
  for (let round = 0; round < rounds; round += 1)
    for (const group of together) {
      const all = Promise.all(group.map((i) => befallOne(i, fateIn(round, random()))));
      // ends early when a push has failed
      await Promise.race([all, pushing]);
    }
  restarted.abort();
  const pushes = await pushing;
  const users = await settledUsers(servers.DATABASE_URL);
  for (const [i, device] of devices.entries()) {
    const { changeSeq, adapterIds } = must(users[i], 'a user for every device');
    expect(changeSeq).toBe(device.accepted);
    expect(adapterIds.length).toBeGreaterThan(0);
    const heard = () => device.events.map(({ adapterId }) => adapterId);
    await expect.poll(heard).toEqual(adapterIds);
    expect(new Set(device.events.map(({ cursor }) => cursor)).size).toBe(adapterIds.length);
  }
  over.abort();
  await Promise.all(following);
  const sum = (of: readonly number[]) => of.reduce((total, each) => total + each, 0);
  const retries = sum(devices.map((device) => device.retries));
  process.stdout.write(
    `${story}: ${JSON.stringify(befallen)}, ${sum(pushes)} pushes, ${retries} mutations at a second server, ${sum(devices.map(({ events }) => events.length))} events\n`,
  );
  await Promise.all(devices.map((device) => device.close()));
}

/** A process of the deployment. */
interface Part {
  readonly name: string;
  readonly args: readonly [role: string, ...rest: string[]];
  /** What it prints when it works. */
  readonly isUp: RegExp;
}

function server(name: string, port: number): Part {
  return { name, args: ['serve', '--port', String(port)], isUp: /running at/ };
}

function trainer(name: string): Part {
  return { name, args: ['train'], isUp: /is training/ };
}

/** Resolves when the server can do all that it has to. */
async function isReady(url: string): Promise<void> {
  const status = () =>
    fetch(`${url}/readyz`).then(
      (response) => response.status,
      () => 0,
    );
  await expect.poll(status, { timeout: LONGEST_WAIT_MS }).toBe(200);
}

/** Resolves when what the device is waiting for has been answered, and something that it asked later. */
async function hasMovedOn(device: RoamingDevice): Promise<void> {
  const before = device.answered;
  const since = () => device.answered - before;
  await expect.poll(since, { timeout: LONGEST_WAIT_MS }).toBeGreaterThan(1);
}

/** What happened to whom. */
interface Befallen {
  readonly name: string;
  /** Whether the process of the server or trainer is gone. */
  readonly hasEnded: boolean;
}

/** Sends the process, or one of its workers if it has any, what is meant for it; whoever is stopped goes on after a minute. */
async function befall(node: AttuneProcess, role: string, fate: Fate): Promise<Befallen> {
  const { signal } = fate;
  const worker = fate.toWorker ? (await node.workers())[0] : undefined;
  const send = (what: NodeJS.Signals) =>
    worker === undefined ? node.kill(what) : signalTo(worker, what);
  send(signal);
  const hasEnded = worker === undefined && signal !== 'SIGSTOP';
  if (hasEnded) await node.exit();
  if (signal === 'SIGSTOP') {
    await systemClock.sleep(STOPPED_MS);
    send('SIGCONT');
  }
  return { name: `${signal} ${worker === undefined ? role : `worker of ${role}`}`, hasEnded };
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

/** What the database knows of a user. */
interface SettledUser {
  readonly changeSeq: number;
  /** The adapters of the feed's events, in order. */
  readonly adapterIds: readonly string[];
}

/** Waits until all that was pushed is learnt, or known to teach nothing; then what is known of each user, the first one first. */
async function settledUsers(databaseUrl: string): Promise<SettledUser[]> {
  const database = await openDatabase({ dataDir: join(folder, 'keys'), databaseUrl });
  const db = database.kysely;
  const mode = (await loadShippedModes()).mode(MODE);
  const users = () =>
    db
      .selectFrom('users')
      .select(['id', 'subject', 'changeSeq'])
      .where('subject', 'like', 'user-%')
      .orderBy('subject')
      .execute();
  const isSettled = async () => {
    const known = (await users()).map(
      async ({ id, changeSeq }) => (await upToDateThrough(db, id, mode)) === changeSeq,
    );
    return (await Promise.all(known)).every(Boolean);
  };
  await expect.poll(isSettled, { timeout: LONGEST_WAIT_MS, interval: 500 }).toBe(true);
  const events = await db
    .selectFrom('feedEvents')
    .select(['userId', 'adapterId'])
    .orderBy('seq')
    .execute();
  const settled = (await users()).map(({ id, changeSeq }) => ({
    changeSeq,
    adapterIds: events
      .filter(({ userId }) => userId === id)
      .map(({ adapterId }) => toGlobalId('Adapter', adapterId)),
  }));
  await database.close();
  return settled;
}
