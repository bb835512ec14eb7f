// Plays two phones of one user: a mailbox goes in, an adapter comes out on both, the cloud answers with it,
// a deleted mail takes it away again, and what the user says of its answers makes the next one.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { splitOf } from '../src/dataset/core/split.ts';
import { readMailbox, type SampleMail } from './mailbox.ts';
import { type Notice, notices } from './notices.ts';
import { type Account, type AdapterSignal, type AdapterView, Phone } from './phone.ts';
import { startServerProcess } from './server.ts';
import { openTrainingBar, say, showTable } from './show.ts';

const MODE = 'subject';
const BATCH = 20;
const RATINGS = 12;
/** Longest cell of the table, in characters. */
const CELL = 44;

const USAGE = `npm run demo                                 starts a server of its own
npm run demo -- --url URL --token TOKEN      uses a running one (a token: npm run -s attune -- token --user demo)`;

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    token: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (options.help) {
  say(USAGE);
} else {
  await runDemo();
}

async function runDemo(): Promise<void> {
  if (options.url === undefined) return playOnOwnServer();
  if (options.token === undefined) throw new Error(`--url needs --token too\n${USAGE}`);
  await playOn({ url: options.url.replace(/\/$/, ''), token: options.token });
}

async function playOnOwnServer(): Promise<void> {
  say('Starting a server with an empty data folder ...');
  const dataDir = await mkdtemp(join(tmpdir(), 'attune-demo-'));
  try {
    const server = await startServerProcess({
      dataDir,
      flags: ['--modes', MODE, '--log-level', 'warn'],
    });
    await playOn(server.account).finally(() => server.close());
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function playOn(account: Account): Promise<void> {
  const suffix = Date.now().toString(36);
  const phone = new Phone(account, `phone-${suffix}`);
  const tablet = new Phone(account, `tablet-${suffix}`);
  try {
    await play(phone, tablet);
  } finally {
    await phone.close();
    await tablet.close();
  }
}

async function play(phone: Phone, tablet: Phone): Promise<void> {
  const mails = readMailbox();
  await phone.register('Phone');
  await tablet.register('Tablet');
  const phoneEvents = phone.adapterEvents(null);
  const tabletEvents = tablet.adapterEvents(null);

  say(`\n1. The phone pushes ${mails.length} mails.`);
  const trained = watchTraining(phone);
  await pushMails(phone, mails);

  say('2. The server folds them into a dataset and trains an adapter.');
  await trained;
  const adapter = await nextReady(phoneEvents);
  await nextReady(tabletEvents);
  say(
    `3. AdapterReady on both devices: version ${adapter.version}, ${adapter.sha256.slice(0, 12)}.`,
  );
  for (const device of [phone, tablet]) {
    const sizeBytes = await device.install(adapter);
    say(`   ${device.deviceId} downloaded and verified ${(sizeBytes / 1e6).toFixed(1)} MB.`);
  }

  say('\n4. Held-out mails, which the adapter has never seen:\n');
  await showHeldOut(phone, mails);
  showLosses(adapter);
  await showForgetting(phone, phoneEvents, tabletEvents, mails);
  await showRatings(phone, phoneEvents);
}

async function pushMails(phone: Phone, mails: readonly SampleMail[]): Promise<void> {
  for (let from = 0; from < mails.length; from += BATCH) {
    const changes = mails.slice(from, from + BATCH).map((mail) => ({
      source: mail.source,
      recordId: mail.recordId,
      kind: 'UPSERT' as const,
      data: mail.data,
      occurredAt: mail.occurredAt,
    }));
    await phone.push(changes);
  }
}

/** Shows the next run's progress until it has ended; throws unless it published. */
async function watchTraining(phone: Phone): Promise<void> {
  const bar = openTrainingBar();
  for await (const run of phone.trainingRuns(MODE)) {
    bar.update(run);
    if (run.status === 'QUEUED' || run.status === 'RUNNING') continue;
    bar.stop();
    if (run.status === 'PUBLISHED') return;
    throw new Error(`the run ended as ${run.status}: ${run.reason}`);
  }
  throw new Error('the server closed the subscription');
}

async function nextReady(events: AsyncIterator<AdapterSignal>): Promise<AdapterView> {
  const signal = await next(events);
  if (signal.__typename !== 'AdapterReady')
    throw new Error(`expected AdapterReady, got ${signal.__typename}`);
  return signal.adapter;
}

async function next(events: AsyncIterator<AdapterSignal>): Promise<AdapterSignal> {
  const { value, done } = await events.next();
  if (done) throw new Error('the server closed the subscription');
  return value;
}

async function showHeldOut(phone: Phone, mails: readonly SampleMail[]): Promise<void> {
  const heldOut = mails
    .filter((mail) => splitOf(mail.source, mail.recordId) === 'holdout')
    .slice(0, 8);
  const rows: string[][] = [];
  for (const { data } of heldOut) {
    const ask = { mode: MODE, input: { body: data.body } };
    const base = await phone.complete({ ...ask, adapter: { base: true } });
    const own = await phone.complete({ ...ask, adapter: { heldByDevice: phone.deviceId } });
    rows.push([data.body.replaceAll('\n', ' '), data.subject, base.text, own.text].map(cut));
  }
  showTable(['body', 'true subject', 'base model', 'with the adapter'], rows);
}

function cut(text: string): string {
  return text.length <= CELL ? text : `${text.slice(0, CELL - 3)}...`;
}

function showLosses({ evaluation }: AdapterView): void {
  if (evaluation?.loss == null || evaluation.baseLoss == null) return;
  const gain = (1 - evaluation.loss / evaluation.baseLoss) * 100;
  say(
    `\n   held-out loss ${evaluation.baseLoss.toFixed(3)} -> ${evaluation.loss.toFixed(3)} nats per token (${gain.toFixed(0)}% lower)`,
  );
}

async function showForgetting(
  phone: Phone,
  phoneEvents: AsyncIterator<AdapterSignal>,
  tabletEvents: AsyncIterator<AdapterSignal>,
  mails: readonly SampleMail[],
): Promise<void> {
  const mail = mails.find(({ source, recordId }) => splitOf(source, recordId) === 'train');
  if (mail === undefined) throw new Error('no mail of the mailbox is in the training part');
  say(`\n5. The phone deletes "${mail.data.subject}", which the adapter was trained on.`);
  const retrained = watchTraining(phone);
  const startedAt = performance.now();
  await phone.push([
    {
      source: mail.source,
      recordId: mail.recordId,
      kind: 'DELETE',
      occurredAt: new Date().toISOString(),
    },
  ]);
  for (const [device, events] of [
    ['phone', phoneEvents],
    ['tablet', tabletEvents],
  ] as const) {
    const signal = await next(events);
    if (signal.__typename !== 'AdapterRevoked')
      throw new Error(`expected AdapterRevoked, got ${signal.__typename}`);
    say(
      `   ${device}: AdapterRevoked after ${Math.round(performance.now() - startedAt)} ms (${signal.reason}).`,
    );
  }
  const meanwhile = await phone.complete({ mode: MODE, input: { body: mail.data.body } });
  say(
    `   Until the rebuild the ${meanwhile.adapter === null ? 'bare base' : 'shipped adapter'} answers.`,
  );
  await retrained;
  const adapter = await nextReady(phoneEvents);
  await phone.install(adapter);
  say(`   Version ${adapter.version}, rebuilt without that mail, is on the phone.`);
  showLosses(adapter);
}

/** The user corrects answers about mails of a kind that she has not written so far; the next version is asked about others of it. */
async function showRatings(phone: Phone, events: AsyncIterator<AdapterSignal>): Promise<void> {
  say('\n6. She begins to write to customers, which her mailbox says nothing of.');
  say(
    `   Of the subjects of ${notices.length} such mails she corrects ${RATINGS}; the others are shown below.`,
  );
  const ask = ({ body }: Notice) => phone.complete({ mode: MODE, input: { body } });
  const before = await Promise.all(
    notices.map(async (notice) => [notice, await ask(notice)] as const),
  );
  const trained = watchTraining(phone);
  for (const [{ subject }, answer] of before.slice(0, RATINGS))
    await phone.rate(answer, { better: subject });
  await trained;
  const { version, onPolicyShare, evaluation } = await nextReady(events);
  const accuracy = evaluation?.preferenceAccuracy;
  say(
    `   Version ${version} learnt from them: ${percent(onPolicyShare)} of them are about answers of`,
  );
  say(`   the version before; it gets ${percent(accuracy)} of the held-out ones right.\n`);
  const rows: string[][] = [];
  for (const [notice, { text }] of before.slice(RATINGS))
    rows.push([notice.subject, text, (await ask(notice)).text].map(cut));
  showTable(['as she would', `version ${version - 1}`, `version ${version}`], rows);
}

function percent(share: number | null | undefined): string {
  return share == null ? 'none' : `${Math.round(100 * share)}%`;
}
