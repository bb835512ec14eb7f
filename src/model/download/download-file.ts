// Downloads one file so that no byte is fetched twice: what an interrupted download left is continued, also by a later
// process. The file appears under its name only when it is whole and its hash is right.

import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { sync } from '../../lib/atomic-file.ts';
import { AppError } from '../../lib/errors.ts';
import { nullIfMissing } from '../../lib/null-if-missing.ts';
import { sha256File } from '../../lib/sha256.ts';
import {
  asRetryable,
  RetryableError,
  type RetryOptions,
  statusError,
  withoutQuery,
  withRetries,
} from './retry.ts';

/** What to fetch and what it must be. */
export interface DownloadRequest {
  readonly url: string;
  readonly path: string;
  /** Null where it is not known before. */
  readonly sha256: string | null;
  readonly sizeBytes: number | null;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a download needs and tells. */
export interface DownloadOptions extends RetryOptions {
  readonly onProgress?: ((doneBytes: number, totalBytes: number | null) => void) | undefined;
}

/** Downloads the file unless it is there already (its hash is checked then too). Beside it, `.part` holds what has come so
 *  far and `.part.tag` the server's name for that content. The caller sees to it that nobody else downloads to this path.
 *  Throws NOT_FOUND, UNAVAILABLE (after retries, or when the content is not what it must be), or the signal's reason. */
export async function downloadFile(
  request: DownloadRequest,
  options: DownloadOptions,
): Promise<void> {
  if (await isThere(request)) return;
  const partPath = `${request.path}.part`;
  const isResumed = (await sizeOf(partPath)) > 0;
  await fetchPart(request, options);
  const fault = await contentFault(partPath, request);
  if (fault !== null) {
    await removePart(request.path);
    // what was left from before may have been of another version of the file
    if (isResumed) return downloadFile(request, options);
    throw new AppError(
      'UNAVAILABLE',
      `${withoutQuery(request.url)} ${fault}; try again, or from another network`,
    );
  }
  await sync(partPath);
  await rename(partPath, request.path);
  await rm(tagPath(request.path), { force: true });
}

async function isThere(request: DownloadRequest): Promise<boolean> {
  if ((await sizeOf(request.path)) === 0) return false;
  if ((await contentFault(request.path, request)) === null) return true;
  await rm(request.path);
  return false;
}

/** What is wrong with the downloaded bytes; null if nothing is. */
async function contentFault(path: string, request: DownloadRequest): Promise<string | null> {
  const size = await sizeOf(path);
  if (request.sizeBytes !== null && size !== request.sizeBytes)
    return `has ${size} bytes, expected ${request.sizeBytes}`;
  if (request.sha256 === null) return null;
  const actual = await sha256File(path);
  return actual === request.sha256 ? null : `has SHA-256 ${actual}, expected ${request.sha256}`;
}

/** Fetches until the part is complete. */
async function fetchPart(request: DownloadRequest, options: DownloadOptions): Promise<void> {
  await withRetries(async (progressed) => {
    const have = await sizeOf(`${request.path}.part`);
    const tag = await readTag(request.path);
    const response = await ask(request, have, tag, options.signal);
    if (isWholeAlready(response, have)) return await response.body?.cancel();
    const start = await acceptedStart(request, response, have);
    if (start === 0) {
      // first the old bytes go, then the new tag comes: bytes and tag of different files never meet
      await removePart(request.path);
      await writeTag(request.path, response);
    }
    await receive(request, response, start, (doneBytes, totalBytes) => {
      progressed();
      options.onProgress?.(doneBytes, totalBytes);
    });
  }, options);
}

function ask(
  { url, headers }: DownloadRequest,
  have: number,
  tag: string | null,
  signal: AbortSignal | undefined,
): Promise<Response> {
  // without a tag the server could not know whether ours is still the same file
  const range = have > 0 && tag !== null ? { range: `bytes=${have}-`, 'if-range': tag } : {};
  return asRetryable(`${withoutQuery(url)} cannot be reached`, () =>
    fetch(url, {
      headers: { ...headers, ...range, 'accept-encoding': 'identity' },
      ...(signal === undefined ? {} : { signal }),
    }),
  );
}

/** "416, and the file has as many bytes as you": nothing was left to ask for. */
function isWholeAlready(response: Response, have: number): boolean {
  return response.status === 416 && contentRange(response).total === have && have > 0;
}

/** Where in the file the body starts. */
async function acceptedStart(
  request: DownloadRequest,
  response: Response,
  have: number,
): Promise<number> {
  if (response.status === 200) return 0;
  if (response.status === 206 && contentRange(response).start === have) return have;
  await response.body?.cancel();
  if (response.status === 206 || response.status === 416) {
    await removePart(request.path);
    throw new RetryableError(`${withoutQuery(request.url)} cannot continue at byte ${have}`);
  }
  throw statusError(request.url, response);
}

async function receive(
  request: DownloadRequest,
  response: Response,
  start: number,
  onProgress: (doneBytes: number, totalBytes: number | null) => void,
): Promise<void> {
  const total = announcedTotal(response, start);
  if (request.sizeBytes !== null && total !== null && total !== request.sizeBytes) {
    await response.body?.cancel();
    throw new AppError(
      'UNAVAILABLE',
      `${withoutQuery(request.url)} has ${total} bytes, expected ${request.sizeBytes}`,
    );
  }
  const reader = response.body?.getReader();
  const file = await open(`${request.path}.part`, start === 0 ? 'w' : 'a');
  let done = start;
  try {
    for (;;) {
      const chunk = await asRetryable(
        `${withoutQuery(request.url)} broke off at byte ${done}`,
        async () => reader?.read(),
      );
      if (chunk?.value === undefined) break;
      done += chunk.value.length;
      stopAtLimit(request, done);
      await file.writeFile(chunk.value);
      onProgress(done, total ?? request.sizeBytes);
    }
  } finally {
    await reader?.cancel().catch(() => undefined);
    await file.close();
  }
  if (total !== null && done < total)
    throw new RetryableError(`${withoutQuery(request.url)} broke off at byte ${done} of ${total}`);
}

/** A server that sends on and on must not fill the disk. */
const MAX_BYTES = 64 * 2 ** 30;

function stopAtLimit({ url, sizeBytes }: DownloadRequest, done: number): void {
  const limit = sizeBytes ?? MAX_BYTES;
  if (done > limit)
    throw new AppError('UNAVAILABLE', `${withoutQuery(url)} sends more than ${limit} bytes`);
}

function announcedTotal(response: Response, start: number): number | null {
  const length = response.headers.get('content-length');
  return length === null ? null : start + Number(length);
}

/** "bytes 5-9/10", or "bytes *" + "/10" where nothing was sent. */
function contentRange(response: Response): { start: number | null; total: number | null } {
  const [, start, total] =
    /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '') ?? [];
  const number = (text: string | undefined) => (/^\d+$/.test(text ?? '') ? Number(text) : null);
  return { start: number(start), total: number(total) };
}

async function removePart(path: string): Promise<void> {
  await rm(`${path}.part`, { force: true });
  await rm(tagPath(path), { force: true });
}

function tagPath(path: string): string {
  return `${path}.part.tag`;
}

/** Keeps what If-Range needs: a strong ETag, or else the date. */
async function writeTag(path: string, response: Response): Promise<void> {
  const etag = response.headers.get('etag');
  const isStrong = etag !== null && !etag.startsWith('W/');
  const tag = isStrong ? etag : response.headers.get('last-modified');
  if (tag === null) await rm(tagPath(path), { force: true });
  else await writeFile(tagPath(path), tag);
}

async function readTag(path: string): Promise<string | null> {
  return await readFile(tagPath(path), 'utf8').catch(nullIfMissing);
}

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(nullIfMissing);
  return found?.size ?? 0;
}
