// kill -9 of the whole server at random moments of the loop: afterwards every acknowledged change is there, once, and
// the adapter that knows them all arrives.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readMailbox, type SampleMail } from '../../demo/mailbox.ts';
import { type Account, Phone } from '../../demo/phone.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import { announceSeed, randomFrom } from '../support/seed.ts';
import { AttuneProcess } from '../support/servers/attune-process.ts';
import { copyDatabase } from '../support/servers/databases.ts';
import { soakRuns } from '../support/soak.ts';

const MODE = 'subject';
const KILLS = soakRuns(8);
const MAILS_PER_ROUND = 3;
/** Long enough for some kills to meet the trainer, the gate or the publication. */
const LONGEST_LIFE_MS = 2_500;
const LENGTHS = 8;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-kill-'));
  await copyDatabase(join(folder, 'data'));
});
afterAll(() => rm(folder, { recursive: true }));

test(`${KILLS} kills lose no acknowledged change, and the adapter arrives`, {
  timeout: 30_000 * KILLS,
}, async () => {
  const random = randomFrom(announceSeed('kill.test.ts'));
  const rounds = chunksOf(readMailbox(), MAILS_PER_ROUND);
  const acknowledged: SampleMail[] = [];
  for (let round = 0; round < KILLS; round += 1) {
    // a few lives, too, are of every length
    const lifeMs = (((round % LENGTHS) + random()) / LENGTHS) * LONGEST_LIFE_MS;
    const mails = must(rounds[round % rounds.length], 'the mailbox has mails');
    acknowledged.push(...(await liveAndDie(mails, lifeMs)));
  }
  const server = await start();
  const phone = await register(server);
  const kept = (await readState(phone)).recordIds;
  expect(kept).toEqual(expect.arrayContaining(acknowledged.map(({ recordId }) => recordId)));
  expect(new Set(kept).size).toBe(kept.length);
  const missing = rounds.flat().filter(({ recordId }) => !kept.includes(recordId));
  if (missing.length > 0) await phone.push(missing.map((mail) => ({ ...mail, kind: 'UPSERT' })));
  await expect.poll(() => isUpToDate(phone), { interval: 250 }).toBe(true);
  await phone.close();
  server.node.kill('SIGINT');
  expect(await server.node.exit()).toBe(0);
});

/** A server, and where its user's devices reach it. */
interface Server {
  readonly node: AttuneProcess;
  readonly account: Account;
}

async function start(): Promise<Server> {
  const folders = ['--data', join(folder, 'data'), '--cache', join(folder, 'cache')];
  const flags = ['--port', '0', '--modes', MODE, '--model', 'tiny', '--log-level', 'silent'];
  const node = new AttuneProcess(['all', ...folders, ...flags]);
  const url = await node.printed(/running at (\S+)/);
  return { node, account: { url, token: await node.printed(/Token of the user demo:\n(\S+)/) } };
}

async function register({ account }: Server): Promise<Phone> {
  const phone = new Phone(account, 'phone');
  await phone.register('Phone');
  return phone;
}

/** Starts a server, pushes the mails and kills it after a while; returns the mails that it acknowledged. */
async function liveAndDie(
  mails: readonly SampleMail[],
  lifeMs: number,
): Promise<readonly SampleMail[]> {
  const server = await start();
  const acknowledged: SampleMail[] = [];
  const pushing = (async () => {
    const phone = await register(server);
    for (const mail of mails) {
      await phone.push([{ ...mail, kind: 'UPSERT' }]);
      acknowledged.push(mail);
    }
  })();
  // the kill cuts the connection: whatever was not acknowledged by then counts as not sent
  await Promise.all([pushing.catch(() => undefined), kill(server, lifeMs)]);
  return acknowledged;
}

async function kill({ node }: Server, afterMs: number): Promise<void> {
  await systemClock.sleep(afterMs);
  node.kill('SIGKILL');
  await node.exit();
}

async function readState(phone: Phone) {
  const { viewer } = await phone.query<{
    viewer: {
      mode: { upToDateThrough: number; adapter: { version: number } | null };
      records: { edges: { node: { recordId: string; changeSeq: number } }[] };
    };
  }>(`{ viewer { mode(key: "${MODE}") { upToDateThrough adapter { version } }
        records(first: 100) { edges { node { recordId changeSeq } } } } }`);
  const records = viewer.records.edges.map(({ node }) => node);
  return {
    ...viewer.mode,
    recordIds: records.map(({ recordId }) => recordId),
    newestChange: Math.max(0, ...records.map(({ changeSeq }) => changeSeq)),
  };
}

/** Whether an adapter is live that knows every change. */
async function isUpToDate(phone: Phone): Promise<boolean> {
  const { adapter, upToDateThrough, newestChange } = await readState(phone);
  return adapter !== null && upToDateThrough >= newestChange;
}

function chunksOf<T>(items: readonly T[], size: number): T[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, i) => items.slice(i * size, (i + 1) * size));
}
