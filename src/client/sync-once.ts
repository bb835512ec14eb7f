// One pass of a device over all that it owes the server and the server owes it. Every step is durable before the next
// begins and can be repeated, so a pass may stop anywhere and the next one finds what is left.

import type { AdapterMessage, FileMessage } from '../sync/protocol.ts';
import { ApiError } from './api.ts';
import { BadFileError, download } from './download.ts';
import {
  fail,
  filesInUse,
  install,
  reachEnd,
  reconcile,
  settleWord,
  takeSignal,
  wantedAdapters,
} from './shelf.ts';
import { QuotaError } from './storage.ts';
import type { SyncParts } from './sync-parts.ts';

/** Makes device and server agree. Throws ApiError, or the signal's reason. */
export async function syncOnce(parts: SyncParts, signal: AbortSignal): Promise<void> {
  const { api, device, outbox, reports } = parts;
  const { lastMutationId, held } = await api.register(device, signal);
  await outbox.register(lastMutationId);
  await pushAll(parts, signal);
  await catchUp(parts, signal);
  const heldIds = held.map(({ adapter }) => adapter.id);
  await parts.shelf.update((now) => reconcile(now, heldIds));
  await sendWords(parts, signal);
  await reports.sendAll((report) => api.report(device.deviceId, report, signal));
  await installWanted(parts, signal);
  await installBase(parts, signal);
  await removeUnused(parts);
}

async function pushAll({ api, device, outbox }: SyncParts, signal: AbortSignal): Promise<void> {
  let gaps = 0;
  for (let changes = await outbox.batch(); changes.length > 0; changes = await outbox.batch()) {
    const answer = await api.push({ deviceId: device.deviceId, changes }, signal);
    if (answer.__typename === 'PushAccepted') {
      if (answer.results.length === 0) throw new ApiError('NO_RESULTS', 'a push was not answered');
      await outbox.settle(answer.results, answer.lastMutationId);
    } else {
      gaps += 1;
      // one is explained by a server that was set back; a second one right behind it by nothing
      if (gaps > 1) throw new ApiError('GAPS', 'the server asks for other numbers again and again');
      await outbox.continueFrom(answer.expectedMutationId);
    }
  }
}

async function catchUp({ api, shelf }: SyncParts, signal: AbortSignal): Promise<void> {
  let resyncs = 0;
  for (let hasMore = true; hasMore; ) {
    const { cursor } = await shelf.read();
    const answer = await api.feed(cursor, signal);
    if (answer.__typename === 'ResyncRequired') {
      resyncs += 1;
      if (resyncs > 1)
        throw new ApiError('RESYNCS', 'the feed does not begin', { isRetryable: true });
      await shelf.update((now) => takeSignal(now, answer));
    } else {
      hasMore = answer.hasMore;
      await shelf.update((now) => {
        const next = answer.events.reduce(takeSignal, now);
        return hasMore ? { ...next, cursor: answer.cursor } : reachEnd(next, answer.cursor);
      });
    }
  }
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
  for (const adapter of wantedAdapters(await parts.shelf.read())) {
    const flaw = await fetchAdapter(parts, adapter, signal);
    await parts.shelf.update((now) =>
      flaw === null ? install(now, adapter) : fail(now, adapter, flaw),
    );
    await sendWords(parts, signal);
  }
}

/** Brings the adapter's files onto the disk if its manifest allows it; returns why that cannot be done, or null when it is. */
async function fetchAdapter(
  parts: SyncParts,
  adapter: AdapterMessage,
  signal: AbortSignal,
): Promise<string | null> {
  const { files, mode } = adapter;
  const newestVersion = (await parts.shelf.read()).slots[mode.key]?.newestVersion ?? 0;
  const base = (await parts.base.read())?.sha256 ?? null;
  const refusal = await parts.trust.refusal(adapter, { newestVersion, base }, signal);
  if (refusal !== null) return refusal;
  for (const file of files) {
    const flaw = await fetchChecked(parts, file, signal);
    if (flaw !== null) return flaw;
  }
  return null;
}

async function fetchChecked(
  parts: SyncParts,
  file: FileMessage,
  signal: AbortSignal,
): Promise<string | null> {
  const { api, storage, onProgress } = parts;
  const deps = { api, files: storage.files, onProgress };
  try {
    // wrong bytes may have come from the disk or a proxy: the second time they count as the server's
    await download(deps, file, signal).catch((error: unknown) => {
      if (!(error instanceof BadFileError)) throw error;
      return download(deps, file, signal);
    });
    return null;
  } catch (error) {
    if (error instanceof BadFileError) return error.message;
    if (error instanceof QuotaError) return `no room for ${file.name}: ${error.message}`;
    if (error instanceof ApiError && error.code === 'NOT_FOUND') return `${file.url} is gone`;
    throw error;
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

/** Deletes the bytes that neither the base nor any adapter uses. */
async function removeUnused({ shelf, base, storage: { files } }: SyncParts): Promise<void> {
  const used = [...filesInUse(await shelf.read()), ...(await base.files())];
  const names = new Set(used.flatMap(({ sha256 }) => [sha256, `${sha256}.part`]));
  for (const name of await files.list()) if (!names.has(name)) await files.remove(name);
}
