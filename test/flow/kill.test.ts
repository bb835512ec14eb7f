// kill -9 of the whole server at random moments of the loop: afterwards every acknowledged change is there, once, and
// the adapter that knows them all arrives.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readMailbox, type SampleMail } from '../../demo/mailbox.ts';
import { Phone } from '../../demo/phone.ts';
import { type ServerProcess, startServerProcess } from '../../demo/server.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import { announceSeed, randomFrom } from '../support/seed.ts';
import { soakRuns } from '../support/soak.ts';

const MODE = 'subject';
const KILLS = soakRuns(20);
const MAILS_PER_ROUND = 3;
/** Long enough for some kills to meet the trainer, the gate or the publication. */
const LONGEST_LIFE_MS = 2_500;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-kill-'));
});
afterAll(() => rm(folder, { recursive: true }));

test(`${KILLS} kills lose no acknowledged change, and the adapter arrives`, {
  timeout: 30_000 * KILLS,
}, async () => {
  const random = randomFrom(announceSeed('kill.test.ts'));
  const rounds = chunksOf(readMailbox(), MAILS_PER_ROUND);
  const acknowledged: SampleMail[] = [];
  for (let round = 0; round < KILLS; round += 1) {
    const lifeMs = random() * LONGEST_LIFE_MS;
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
  await server.close();
});

function start(): Promise<ServerProcess> {
  return startServerProcess({
    dataDir: join(folder, 'data'),
    flags: [
      '--modes',
      MODE,
      '--model',
      'tiny',
      '--cache',
      join(folder, 'cache'),
      '--log-level',
      'silent',
    ],
  });
}

async function register(server: ServerProcess): Promise<Phone> {
  const phone = new Phone(server.account, 'phone');
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
  await Promise.all([pushing.catch(() => undefined), systemClock.sleep(lifeMs).then(server.kill)]);
  return acknowledged;
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
