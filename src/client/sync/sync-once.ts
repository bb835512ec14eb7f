// One pass of a device over all that it owes the server and the server owes it. Every step is durable before the next
// begins and can be repeated, so a pass may stop anywhere and the next one finds what is left.

import type { ChangeMessage, FeedAnswer } from '../../sync/protocol.ts';
import { ApiError } from '../api.ts';
import { hasBytes, withdrawForgotten } from '../training/forget.ts';
import { useOf } from '../training/local-records.ts';
import { fetchAdapter, fetchChecked } from './fetch-adapter.ts';
import type { NumberedChange } from './outbox.ts';
import { belongTo } from './owner.ts';
import { removeUnused } from './remove-unused.ts';
import {
  beginAnew,
  checksumOf,
  fail,
  install,
  reachEnd,
  reconcile,
  settleWord,
  takeShipped,
  takeStep,
  wantedAdapters,
} from './shelf.ts';
import type { ShelfKeeper } from './shelf-keeper.ts';
import type { SyncParts } from './sync-parts.ts';
import { uploadTrained } from './upload-trained.ts';

/** Makes device and server agree, and takes off the disk what was removed here and on the way, however the pass ends.
 *  Throws ApiError, or the signal's reason. */
export async function syncOnce(parts: SyncParts, signal: AbortSignal): Promise<void> {
  try {
    await agree(parts, signal);
  } finally {
    await removeUnused(parts);
  }
}

async function agree(parts: SyncParts, signal: AbortSignal): Promise<void> {
  const { api, device, outbox } = parts;
  const { lastMutationId, held } = await api.register(device, signal);
  await belongTo(parts, await parts.modes.refresh(api, signal));
  await outbox.register(lastMutationId);
  await pushAll(parts, lastMutationId, signal);
  await withdrawForgotten(parts, signal);
  await uploadTrained(parts, signal);
  await catchUp(parts, signal);
  const heldIds = held.map(({ adapter }) => adapter.id);
  await parts.shelf.update((now) => reconcile(now, heldIds));
  await sendWords(parts, signal);
  await sendAnswers(parts, signal);
  await installWanted(parts, signal);
  await installBase(parts, signal);
}

/** Pushes what is for the server, and takes what is not out of the outbox: it was pushed before this device knew. */
async function pushAll(parts: SyncParts, registered: number, signal: AbortSignal): Promise<void> {
  const { api, device, modes, outbox, records } = parts;
  const definitions = (await modes.definitions()) ?? [];
  const isForServer = ({ source }: ChangeMessage) => useOf(definitions, source) !== 'kept';
  let lastMutationId = registered;
  let gaps = 0;
  for (;;) {
    await outbox.sift(isForServer, (change) => records.writesOf(change), lastMutationId);
    const changes = await upToDelete(parts, await outbox.batch(isForServer), signal);
    if (changes.length === 0) return;
    const answer = await api.push({ deviceId: device.deviceId, changes }, signal);
    if (answer.__typename === 'PushAccepted') {
      if (answer.results.length === 0) throw new ApiError('NO_RESULTS', 'a push was not answered');
      ({ lastMutationId } = answer);
      await outbox.settle(answer.results, lastMutationId);
      await records.noteThrough(Math.max(0, ...answer.results.map((one) => one.changeSeq ?? 0)));
    } else {
      gaps += 1;
      // one is explained by a server that was set back; a second one right behind it by nothing
      if (gaps > 1) throw new ApiError('GAPS', 'the server asks for other numbers again and again');
      lastMutationId = answer.expectedMutationId - 1;
      await outbox.continueFrom(answer.expectedMutationId);
    }
  }
}

/** What the server is told of answers before a delete goes with it, and what comes after it is new: so what was said here before the
 *  delete is sent before it, and after the changes that were made earlier. Returns the changes to be pushed now. */
async function upToDelete(
  parts: SyncParts,
  changes: readonly NumberedChange[],
  signal: AbortSignal,
): Promise<readonly NumberedChange[]> {
  const place = changes.findIndex(({ kind }) => kind === 'DELETE');
  if (place === -1) return changes;
  if ((await parts.reports.size()) + (await parts.ratings.size()) === 0) return changes;
  if (place > 0) return changes.slice(0, place);
  // a delete waits for a server that can be reached, not for one that fails on an answer: the end of the pass tells of that
  await sendAnswers(parts, signal).catch((error: unknown) => {
    if (!(error instanceof ApiError && error.code === 'INTERNAL')) throw error;
  });
  return changes;
}

/** Reports the answers that were given here, and sends what was thought of answers. */
async function sendAnswers(
  { api, device, ratings, reports }: SyncParts,
  signal: AbortSignal,
): Promise<void> {
  await reports.sendAll((report) => api.report(device.deviceId, report, signal));
  await ratings.sendAll((rating) => api.rate(rating, signal));
}

/** Reads the feed to its end, from null once if it has to. */
async function catchUp({ api, shelf }: SyncParts, signal: AbortSignal): Promise<void> {
  let hasResynced = false;
  for (let hasMore = true; hasMore; ) {
    const { feed: answer, shipped } = await api.feed((await shelf.read()).cursor, signal);
    const obstacle = await takeAnswer(shelf, answer);
    if (obstacle === null) {
      hasMore = answer.__typename === 'AdapterFeedPage' && answer.hasMore;
      if (!hasMore) await shelf.update((now) => takeShipped(now, shipped));
    } else {
      if (hasResynced) throw new ApiError('RESYNC', obstacle, { isRetryable: true });
      hasResynced = true;
      await shelf.update(beginAnew);
    }
  }
}

/** Takes a page of the feed; returns why the feed must be read from null, or null when it need not. */
async function takeAnswer(shelf: ShelfKeeper, answer: FeedAnswer): Promise<string | null> {
  if (answer.__typename === 'ResyncRequired') return answer.reason;
  const { events, cursor, hasMore, checksum } = answer;
  await shelf.update((now) => {
    const next = events.reduce(takeStep, now);
    return hasMore ? { ...next, cursor } : reachEnd(next, cursor);
  });
  const isRight = checksum === null || checksum === checksumOf(await shelf.read());
  return isRight ? null : 'the device and the server disagree on what is live';
}

/** Sends what the device owes, oldest first. */
async function sendWords({ api, device, shelf }: SyncParts, signal: AbortSignal): Promise<void> {
  for (let word = (await shelf.read()).owed[0]; word; word = (await shelf.read()).owed[0]) {
    let answer: 'taken' | 'refused' = 'taken';
    try {
      await api.acknowledge(device.deviceId, word, signal);
    } catch (error) {
      if (!isFinal(error)) throw error;
      answer = 'refused';
    }
    await shelf.update((now) => settleWord(now, answer));
  }
}

/** Whether the server will give the same answer whenever it is asked. */
function isFinal(error: unknown): boolean {
  return error instanceof ApiError && ['CONFLICT', 'NOT_FOUND', 'BAD_INPUT'].includes(error.code);
}

async function installWanted(parts: SyncParts, signal: AbortSignal): Promise<void> {
  const forgotten = new Set((await parts.learnt.forgotten()).map(({ sha256 }) => sha256));
  for (const adapter of wantedAdapters(await parts.shelf.read())) {
    // deleted since this pass began: the next one has it revoked
    if (hasBytes(adapter, forgotten)) continue;
    const flaw = await fetchAdapter(parts, adapter, signal);
    await parts.shelf.update((now) =>
      flaw === null ? install(now, adapter) : fail(now, adapter, flaw),
    );
    await sendWords(parts, signal);
  }
}

async function installBase(parts: SyncParts, signal: AbortSignal): Promise<void> {
  const { base } = parts;
  for (const file of await base.missing()) {
    const flaw = await fetchChecked(parts, file, signal);
    if (flaw !== null) return base.fail(flaw);
  }
  await base.complete();
}
