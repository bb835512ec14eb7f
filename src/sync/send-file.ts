// One file over HTTP whose name is the hash of its bytes: validators, one range, and errors that name no header of the file.

import { extname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { NextFunction, Request, Response } from 'express';
import type { StoredFile } from '../db/schema.ts';
import type { ErrorCode } from '../lib/errors.ts';
import { type Folder, type OpenFile, openFileIn } from '../sealing/private-folder.ts';
import type { Range } from '../sealing/sealed-file.ts';

/** Answers GET or HEAD with the file, or that part of it that is asked for (one range; several are answered with all of it).
 *  What cannot be read goes to `next`, or breaks the answer off when it has begun. */
export async function sendFile(
  request: Request,
  response: Response,
  { folder, file }: { folder: Folder; file: StoredFile },
  next: NextFunction,
): Promise<void> {
  if (!matches(request.headers['if-match'], etagOf(file))) {
    const tag = request.headers['if-match'];
    refuse(response, 412, 'BAD_INPUT', `Precondition Failed: ${tag}; the file is another.`);
    return;
  }
  const range = rangeOf(request, file);
  if (range === null) {
    response.set('Content-Range', `bytes */${file.sizeBytes}`);
    const message = `Range Not Satisfiable: ${request.headers.range}; the file has ${file.sizeBytes} bytes.`;
    refuse(response, 416, 'BAD_INPUT', message);
    return;
  }
  try {
    const opened = await openFileIn(folder, file.name);
    try {
      await answer(request, response, { opened, file, range });
    } finally {
      await opened.close();
    }
  } catch (error) {
    // who has left misses nothing
    if (response.destroyed) return;
    if (response.headersSent) response.destroy();
    else fail(response, file, error, next);
  }
}

async function answer(
  request: Request,
  response: Response,
  { opened, file, range }: { opened: OpenFile; file: StoredFile; range: Range },
): Promise<void> {
  response.set(headersOf(file));
  if (request.fresh) {
    response.status(304).end();
    return;
  }
  response.type(extname(file.name) || 'application/octet-stream');
  const { start, end } = range;
  response.set('Content-Length', String(end - start));
  if (end - start < file.sizeBytes) {
    response.status(206).set('Content-Range', `bytes ${start}-${end - 1}/${file.sizeBytes}`);
  }
  if (request.method === 'HEAD') response.end();
  else await pipeline(opened.read(range), response);
}

function fail(response: Response, file: StoredFile, error: unknown, next: NextFunction): void {
  for (const name of [...Object.keys(headersOf(file)), 'Content-Length', 'Content-Range'])
    response.removeHeader(name);
  response.status(200);
  next(new Error(`cannot send ${file.name}`, { cause: error }));
}

/** The bytes to send; null: none of those that are asked for are there. */
function rangeOf(request: Request, file: StoredFile): Range | null {
  const whole = { start: 0, end: file.sizeBytes };
  const ifRange = request.headers['if-range']?.toString();
  // If-Range compares strongly, so a weak tag or a date never matches and the whole file goes out
  if (ifRange !== undefined && ifRange !== etagOf(file)) return whole;
  const ranges = request.range(file.sizeBytes, { combine: true });
  if (ranges === -1) return null;
  const [one, another] = Array.isArray(ranges) && ranges.type === 'bytes' ? ranges : [];
  if (one === undefined || another !== undefined) return whole;
  return { start: one.start, end: one.end + 1 };
}

function matches(ifMatch: string | undefined, etag: string): boolean {
  if (ifMatch === undefined || ifMatch.trim() === '*') return true;
  return ifMatch.split(',').some((tag) => tag.trim() === etag);
}

function etagOf({ sha256 }: StoredFile): string {
  return `"${sha256}"`;
}

/** The name is the hash, so the bytes behind it never change; Repr-Digest is that of the whole file (RFC 9530). */
function headersOf(file: StoredFile): Record<string, string> {
  const digest = Buffer.from(file.sha256, 'hex').toString('base64');
  return {
    'Accept-Ranges': 'bytes',
    'Cache-Control': 'private, max-age=31536000, immutable',
    ETag: etagOf(file),
    'Repr-Digest': `sha-256=:${digest}:`,
  };
}

/** Refuses in the form of a GraphQL answer. */
export function refuse(response: Response, status: number, code: ErrorCode, message: string): void {
  response.status(status).json({ errors: [{ message, extensions: { code } }] });
}
