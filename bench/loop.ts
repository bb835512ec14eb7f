// The whole loop against its targets: what the server adds to a training run, what the run gains, and how many changes
// and answers it takes a second. Prints a table and, last, one line of JSON.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readMailbox } from '../demo/mailbox.ts';
import { type Account, type AdapterView, Phone } from '../demo/phone.ts';
import { startServerProcess } from '../demo/server.ts';
import { say, showTable } from '../demo/show.ts';
import { issueToken } from '../src/auth/tokens.ts';
import { type Config, readConfig } from '../src/config.ts';
import { systemClock } from '../src/lib/clock.ts';
import { must } from '../src/lib/errors.ts';
import { installBase } from '../src/model/base/base-install.ts';
import { loadCatalog } from '../src/modes/catalog.ts';
import { seedUsers } from './seed-users.ts';

const MODE = 'subject';
const CLIENTS = Array.from({ length: 8 }, (_, index) => `client-${index}`);
const ANSWERS_PER_CLIENT = 6;
const ANSWER_TOKENS = 24;
const BATCHES = 20;
const CHANGES_PER_BATCH = 100;

const { values: options } = parseArgs({ options: { model: { type: 'string' } } });
const dataDir = await mkdtemp(join(tmpdir(), 'attune-bench-'));
try {
  await benchLoop(readConfig({ ...options, dataDir }));
} finally {
  await rm(dataDir, { recursive: true, force: true });
}

async function benchLoop(config: Config): Promise<void> {
  const { model, cacheDir } = config;
  const base = await installBase({ model, cacheDir });
  await seedUsers(dataDir, base, { mode: MODE, users: CLIENTS });
  const log: string[] = [];
  const server = await startServerProcess({
    dataDir,
    flags: ['--modes', MODE, '--model', model, '--log-level', 'info'],
    onLog: (line) => log.push(line),
  });
  try {
    const loop = await benchTraining(server.account, config, log);
    const changesPerS = await benchChanges(server.account);
    const completesPerS = await benchAnswers(server.account);
    report(base.name, { ...loop, changesPerS, completesPerS });
  } finally {
    await server.close();
  }
}

/** One user's first run: the time from the push's answer to AdapterReady that neither trainer nor debounce explains. */
async function benchTraining(account: Account, config: Config, log: readonly string[]) {
  const catalog = await loadCatalog(config.modesDir, { only: [MODE] });
  const phone = new Phone(account, 'bench-phone');
  await phone.register('Bench');
  const events = phone.adapterEvents(null);
  const mailbox = readMailbox().map((mail) => ({ ...mail, kind: 'UPSERT' as const }));
  await phone.push(mailbox);
  const pushedAt = performance.now();
  const { value: signal } = await events.next();
  const lagMs = performance.now() - pushedAt;
  await phone.close();
  if (signal?.__typename !== 'AdapterReady') throw new Error('the run published no adapter');
  const trainerMs = trainerMsOf(log);
  const overheadMs = lagMs - trainerMs - catalog.mode(MODE).trigger.debounceMs;
  return { trainerMs, overheadMs, ...lossesOf(signal.adapter) };
}

function trainerMsOf(log: readonly string[]): number {
  const lines = log.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  const { trainerMs } = must(
    lines.find((line) => line.trainerMs !== undefined),
    'the log tells of each published adapter how long its trainer took',
  ) as { trainerMs: number };
  return trainerMs;
}

function lossesOf({ evaluation }: AdapterView): { loss: number; baseLoss: number } {
  const { loss, baseLoss } = must(evaluation, 'a trained adapter has an evaluation');
  return { loss: must(loss, 'its loss'), baseLoss: must(baseLoss, "the base's loss") };
}

/** Batches of contacts, which no enabled mode trains on, one after the other. */
async function benchChanges(account: Account): Promise<number> {
  const phone = new Phone(account, 'bench-sender');
  await phone.register('Sender');
  const startedAt = performance.now();
  for (let batch = 0; batch < BATCHES; batch += 1) await phone.push(contacts(batch));
  const seconds = (performance.now() - startedAt) / 1000;
  await phone.close();
  return (BATCHES * CHANGES_PER_BATCH) / seconds;
}

function contacts(batch: number) {
  return Array.from({ length: CHANGES_PER_BATCH }, (_, index) => ({
    source: 'contacts',
    recordId: `contact-${batch}-${index}`,
    kind: 'UPSERT' as const,
    data: { name: `Person ${index}`, email: `person-${batch}-${index}@example.org` },
    occurredAt: '2026-01-01T00:00:00Z',
  }));
}

/** Clients at once, each of another user with an adapter of its own, each asking again as soon as it is answered. */
async function benchAnswers({ url }: Account): Promise<number> {
  const phones = await Promise.all(
    CLIENTS.map(async (user) => {
      const token = await issueToken(dataDir, user, systemClock);
      return new Phone({ url, token }, user);
    }),
  );
  await Promise.all(phones.map((phone) => askSome(phone, 1)));
  const startedAt = performance.now();
  await Promise.all(phones.map((phone) => askSome(phone, ANSWERS_PER_CLIENT)));
  const seconds = (performance.now() - startedAt) / 1000;
  await Promise.all(phones.map((phone) => phone.close()));
  return (CLIENTS.length * ANSWERS_PER_CLIENT) / seconds;
}

async function askSome(phone: Phone, count: number): Promise<void> {
  const mails = readMailbox();
  for (let asked = 0; asked < count; asked += 1) {
    const { body } = must(mails[asked % mails.length], 'the mailbox is not empty').data;
    const answer = await phone.complete({ mode: MODE, input: { body }, maxTokens: ANSWER_TOKENS });
    must(answer.adapter, 'every client is answered by its own adapter');
  }
}

function report(
  baseName: string,
  figures: Awaited<ReturnType<typeof benchTraining>> & {
    changesPerS: number;
    completesPerS: number;
  },
): void {
  const gain = 1 - figures.loss / figures.baseLoss;
  const { overheadMs, changesPerS, completesPerS, trainerMs } = figures;
  say(`base model ${baseName}`);
  showTable(
    ['figure', 'measured', 'target'],
    [
      ['overhead of the loop', `${overheadMs.toFixed(0)} ms`, 'under 500 ms'],
      ['held-out loss of the base', `${figures.baseLoss.toFixed(3)} nats/token`, ''],
      ['held-out loss with the adapter', `${figures.loss.toFixed(3)} nats/token`, ''],
      ['held-out gain', `${(gain * 100).toFixed(1)}%`, 'at least 20%'],
      ['trainer', `${(trainerMs / 1000).toFixed(1)} s`, ''],
      ['changes accepted', `${changesPerS.toFixed(0)} /s`, ''],
      ['answers, 8 clients and adapters', `${completesPerS.toFixed(2)} /s`, ''],
    ],
  );
  const json = {
    overhead_ms: round(overheadMs, 0),
    holdout_gain: round(gain, 3),
    changes_per_s: round(changesPerS, 0),
    completes_per_s: round(completesPerS, 2),
  };
  say(JSON.stringify(json));
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
