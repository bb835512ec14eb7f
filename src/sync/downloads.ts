// The files that devices download: adapters and the base. Their names are hashes of their bytes, so they never change and
// a broken download goes on where it stopped. Who may read an adapter's bytes is asked in SQL, each time.

import type { IncomingMessage } from 'node:http';
import { type NextFunction, type RequestHandler, type Response, Router } from 'express';
import send from 'send';
import type { AdapterStore } from '../adapters/store.ts';
import type { Db } from '../db/database.ts';
import type { StoredFile, UserRow } from '../db/schema.ts';
import type { ErrorCode } from '../lib/errors.ts';

const SHA256 = /^[0-9a-f]{64}$/;

/** What downloads need. */
export interface DownloadDeps {
  readonly db: Db;
  readonly store: AdapterStore;
  readonly base: {
    readonly sha256: string;
    readonly dir: string;
    readonly files: readonly StoredFile[];
  };
  /** Further files in the base's folder, by mode. */
  readonly trainingFiles: ReadonlyMap<string, readonly StoredFile[]>;
  /** The user who asks. Throws UNAUTHENTICATED. */
  authenticate(request: IncomingMessage): Promise<UserRow>;
}

/** Serves GET and HEAD of /adapters/:sha256/:file and /models/:sha256/:file with strong ETags, ranges and Repr-Digest.
 *  An adapter's files go to those who have it, published and not revoked, and to everyone where it ships with a mode.
 *  Errors of `authenticate` go to the app's error handler. */
export function downloads(deps: DownloadDeps): Router {
  const router = Router();
  const { dir, files } = deps.base;
  const model = { dir, files: [...files, ...[...deps.trainingFiles.values()].flat()] };
  router.get(
    '/adapters/:sha256/:file',
    serve(deps, (userId, sha256) => adapterFolder(deps, userId, sha256)),
  );
  router.get(
    '/models/:sha256/:file',
    serve(deps, (_userId, sha256) => (sha256 === deps.base.sha256 ? model : null)),
  );
  return router;
}

/** A folder that the user may read, and its files. */
interface Folder {
  readonly dir: string;
  readonly files: readonly StoredFile[];
}

async function adapterFolder(
  { db, store }: DownloadDeps,
  userId: string,
  sha256: string,
): Promise<Folder | null> {
  const adapter = await db
    .selectFrom('adapters')
    .select('files')
    .where('sha256', '=', sha256)
    .where('status', 'in', ['LIVE', 'SUPERSEDED'])
    .where((eb) => eb.or([eb('userId', '=', userId), eb('userId', 'is', null)]))
    .limit(1)
    .executeTakeFirst();
  // never damaged bytes: whoever checks their hash would ask again for ever
  if (adapter === undefined || !(await store.isServable(sha256))) return null;
  return { dir: store.pathOf(sha256), files: adapter.files };
}

function serve(
  deps: DownloadDeps,
  find: (userId: string, sha256: string) => Folder | null | Promise<Folder | null>,
): RequestHandler<{ sha256: string; file: string }> {
  return async (request, response, next) => {
    const user = await deps.authenticate(request);
    const { sha256, file } = request.params;
    const folder = SHA256.test(sha256) ? await find(user.id, sha256) : null;
    const found = folder?.files.find(({ name }) => name === file);
    if (folder === null || found === undefined) {
      refuse(response, 404, 'NOT_FOUND', `You have no file ${request.path}.`);
    } else {
      sendFile(request, response, { dir: folder.dir, file: found }, next);
    }
  };
}

function sendFile(
  request: IncomingMessage,
  response: Response,
  { dir, file }: { dir: string; file: StoredFile },
  next: NextFunction,
): void {
  const stream = send(request, encodeURIComponent(file.name), {
    root: dir,
    // If-Range compares strongly, so a weak tag never matches and the whole file goes out
    acceptRanges: !request.headers['if-range']?.toString().startsWith('W/'),
    cacheControl: false,
    etag: false,
    lastModified: false,
  });
  stream.on('headers', () => response.set(headersOf(file)));
  stream.on('error', (error: SendError) => {
    for (const name of Object.keys(headersOf(file))) response.removeHeader(name);
    if (error.status === 416 || error.status === 412) {
      response.set(error.headers ?? {});
      const asked = request.headers.range ?? request.headers['if-match'];
      const message = `${error.message}: ${asked}; the file has ${file.sizeBytes} bytes.`;
      refuse(response, error.status, 'BAD_INPUT', message);
    } else {
      next(new Error(`cannot send ${file.name} of ${dir}`, { cause: error }));
    }
  });
  stream.pipe(response);
}

/** What `send` reports: an error with the HTTP status that it would have answered. */
interface SendError extends Error {
  readonly status?: number;
  readonly headers?: Record<string, string>;
}

/** The name is the hash, so the bytes behind it never change; Repr-Digest is that of the whole file (RFC 9530). */
function headersOf(file: StoredFile): Record<string, string> {
  const digest = Buffer.from(file.sha256, 'hex').toString('base64');
  return {
    'Accept-Ranges': 'bytes',
    'Cache-Control': 'private, max-age=31536000, immutable',
    ETag: `"${file.sha256}"`,
    'Repr-Digest': `sha-256=:${digest}:`,
  };
}

function refuse(response: Response, status: number, code: ErrorCode, message: string): void {
  response.status(status).json({ errors: [{ message, extensions: { code } }] });
}
