// What a device trained, on its way to the server: each upload goes on where it stopped, and is published once.

import { ApiError, errorOf } from '../api.ts';
import type { Trained, TrainedResult } from '../training/trained.ts';
import type { SyncParts } from './sync-parts.ts';

/** Bytes of one PUT: what a lost connection may cost. */
const CHUNK_BYTES = 512 * 1024;

interface Begun {
  readonly id: string;
  readonly url: string;
  readonly receivedBytes: number;
}

/** Uploads and publishes what waits. Throws ApiError where it may work later, and the signal's reason. */
export async function uploadTrained(parts: SyncParts, signal: AbortSignal): Promise<void> {
  for (const trained of await parts.trained.waiting()) {
    if (trained.result === null) continue;
    try {
      const adapterId = await upload(parts, trained, trained.result, signal);
      await parts.learnt.exclusively(() => published(parts, trained, adapterId));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      await settle(parts, trained, error);
    }
  }
}

/** Notes how the server ended it. Throws the error where it is to be tried again. */
async function settle({ trained: shelf }: SyncParts, trained: Trained, error: ApiError) {
  if (error.reason === 'SEND_AGAIN' && (await shelf.noteSending(trained))) throw error;
  const status = ENDS[error.code];
  if (status === undefined) throw error;
  await shelf.settle(trained, { status, reason: error.message });
}

/** Notes that it is published, unless a deletion forgot it on its way, or another training took its place. */
async function published(
  { learnt, trained: shelf }: SyncParts,
  trained: Trained,
  adapterId: string,
): Promise<void> {
  if (!(await shelf.isCurrent(trained))) return;
  const writes = await learnt.publishing(trained, adapterId);
  await shelf.settle(trained, { status: 'PUBLISHED', reason: null }, writes);
}

/** What the server's final answers make of a training. */
const ENDS: Readonly<Record<string, 'CONFLICT' | 'REFUSED'>> = {
  CONFLICT: 'CONFLICT',
  BAD_INPUT: 'REFUSED',
  NOT_FOUND: 'REFUSED',
};

async function upload(
  { api, device, storage }: SyncParts,
  { mode, parentId, baseSha256, datasetSha256, dataThrough }: Trained,
  { sha256, sizeBytes, verdict, losses, examples }: TrainedResult,
  signal: AbortSignal,
): Promise<string> {
  const { deviceId } = device;
  const plan = { deviceId, mode, sizeBytes, sha256 };
  type Answer = { beginAdapterUpload: Begun };
  const { beginAdapterUpload } = await api.ask<Answer>('BeginUpload', { input: plan }, signal);
  const { id: uploadId, url, receivedBytes } = beginAdapterUpload;
  const bytes = await storage.files.read(sha256);
  for (let at = receivedBytes; at < sizeBytes; ) {
    const chunk = bytes.slice(at, at + CHUNK_BYTES);
    const range = `bytes ${at}-${at + chunk.length - 1}/${sizeBytes}`;
    const init = { method: 'PUT', headers: { 'content-range': range }, body: chunk, signal };
    const { status, offset } = await api.exchange(url, init, async (response) => {
      // 409: somebody else was there first, or a reply was lost
      if (response.status !== 204 && response.status !== 409) throw await errorOf(response);
      const told = Number(response.headers.get('upload-offset') ?? Number.NaN);
      return { status: response.status, offset: told };
    });
    if (!(offset >= 0 && offset <= sizeBytes))
      throw new ApiError('NO_OFFSET', 'an upload was not answered', { isRetryable: true });
    if (status === 409 && offset === at)
      throw new ApiError('BUSY', 'the upload is being written', { isRetryable: true });
    at = offset;
  }
  const { holdoutExamples, loss, baseLoss, previousLoss } = verdict;
  const measured = {
    steps: losses.length,
    examples,
    holdoutExamples,
    loss,
    baseLoss,
    previousLoss,
  };
  const input = {
    ...{ deviceId, uploadId, mode, parentId, baseSha256, datasetSha256, dataThrough },
    ...measured,
  };
  type Published = { publishAdapter: { id: string } };
  return (await api.ask<Published>('Publish', { input }, signal)).publishAdapter.id;
}
