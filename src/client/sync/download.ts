// One file from the server onto the disk: goes on where it broke off, and counts only when its hash is right.

import type { Clock } from '../../lib/clock.ts';
import type { FileMessage } from '../../sync/protocol.ts';
import { type Api, ApiError, errorOf, offline } from '../api.ts';
import type { DeviceFiles } from '../storage/storage.ts';

/** A connection that brings nothing for so long is given up. */
const STALL_MS = 30_000;

/** What comes in smaller pieces is kept together until it is so much: a browser's disk takes milliseconds for each piece.
 *  A crash loses at most this; a connection that breaks loses nothing. */
const PIECE_BYTES = 2 ** 20;

/** How far a download has come, in bytes of the whole file. */
export type OnProgress = (file: FileMessage, doneBytes: number) => void;

/** What downloading needs. */
export interface DownloadDeps {
  readonly api: Api;
  readonly files: DeviceFiles;
  readonly onProgress: OnProgress;
}

/** What the server sends is not what it promised. */
export class BadFileError extends Error {
  override readonly name = 'BadFileError';
}

/** Leaves the file under its hash. What is there of it from before is kept; an attempt that breaks off keeps what it got.
 *  Throws BadFileError for other bytes than promised, ApiError, QuotaError, or the signal's reason. */
export async function download(
  deps: DownloadDeps,
  file: FileMessage,
  signal: AbortSignal,
): Promise<void> {
  const { files } = deps;
  if ((await files.size(file.sha256)) !== null) return;
  const part = `${file.sha256}.part`;
  const have = (await files.size(part)) ?? 0;
  if (have < file.sizeBytes || have === 0) await fetchRest(deps, file, have, signal);
  const size = await files.size(part);
  if (size === file.sizeBytes && (await files.sha256(part)) === file.sha256) {
    await files.rename(part, file.sha256);
    return;
  }
  await files.remove(part);
  throw new BadFileError(`${file.name} is not the file ${file.sha256} of ${file.sizeBytes} bytes`);
}

/** Appends what is missing, or all of it when the server will not go on from here. */
async function fetchRest(
  deps: DownloadDeps,
  file: FileMessage,
  have: number,
  signal: AbortSignal,
): Promise<void> {
  const { api, files } = deps;
  const part = `${file.sha256}.part`;
  const hungUp = new AbortController();
  const ended = AbortSignal.any([signal, hungUp.signal]);
  const range = have > 0 ? { range: `bytes=${have}-`, 'if-range': `"${file.sha256}"` } : {};
  try {
    const response = await inTime(api.access.clock, ended, () =>
      api.send(file.url, { headers: range, signal: ended }),
    );
    const start = startOf(response);
    if (start === null) throw await inTime(api.access.clock, ended, () => errorOf(response));
    if (start !== have) await files.remove(part);
    if (start !== have && start !== 0) {
      throw new BadFileError(`${file.name} goes on at ${start}, not at ${have}`);
    }
    await keepBody(deps, file, { response, start }, ended);
  } finally {
    hungUp.abort();
  }
}

/** The position of the answer's first byte; null: it is no answer with bytes of the file. */
function startOf({ status, headers }: Response): number | null {
  if (status === 200) return 0;
  const start = /^bytes (\d+)-/.exec(headers.get('content-range') ?? '')?.[1];
  return status === 206 && start !== undefined ? Number(start) : null;
}

async function keepBody(
  { api, files, onProgress }: DownloadDeps,
  file: FileMessage,
  { response, start }: { response: Response; start: number },
  signal: AbortSignal,
): Promise<void> {
  const part = `${file.sha256}.part`;
  // an empty file is a file as well
  if (start === 0) await files.append(part, new Uint8Array(0));
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
  const pieces = new Pieces((bytes) => files.append(part, bytes));
  let done = start;
  try {
    while (reader !== undefined) {
      const chunk = await inTime(api.access.clock, signal, () => reader.read());
      if (chunk.done) break;
      done += chunk.value.length;
      if (done > file.sizeBytes) break;
      await pieces.add(chunk.value);
      onProgress(file, done);
    }
  } finally {
    await pieces.flush();
  }
  if (done > file.sizeBytes) {
    await files.remove(part);
    throw new BadFileError(`${file.name} is longer than ${file.sizeBytes} bytes`);
  }
  if (done < file.sizeBytes) throw offline(new Error(`${file.name} broke off at ${done}`));
}

/** Puts small pieces together before they go to the disk. */
class Pieces {
  readonly #append: (bytes: Uint8Array) => Promise<void>;
  #waiting: Uint8Array[] = [];
  #size = 0;

  constructor(append: (bytes: Uint8Array) => Promise<void>) {
    this.#append = append;
  }

  async add(piece: Uint8Array): Promise<void> {
    this.#waiting.push(piece);
    this.#size += piece.length;
    if (this.#size >= PIECE_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    const [waiting, size] = [this.#waiting, this.#size];
    [this.#waiting, this.#size] = [[], 0];
    if (size === 0) return;
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const piece of waiting) {
      bytes.set(piece, at);
      at += piece.length;
    }
    await this.#append(bytes);
  }
}

/** The task's outcome; a failure or a stall of the network as ApiError OFFLINE. */
async function inTime<T>(clock: Clock, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
  const over = new AbortController();
  const stalled = clock.sleep(STALL_MS, AbortSignal.any([signal, over.signal])).then(() => {
    throw offline(new Error(`nothing came for ${STALL_MS} ms`));
  });
  try {
    return await Promise.race([task(), stalled]);
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof ApiError ? error : offline(error);
  } finally {
    // ends the clock's wait, whose rejection then says only that
    stalled.catch(() => undefined);
    over.abort();
  }
}
