// Where devices put the bytes of adapters that they trained: PUT /uploads/:id, which goes on where it was cut off.

import type { IncomingMessage } from 'node:http';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type RequestHandler, type Response, Router } from 'express';
import type { Upload, Uploads } from '../adapters/uploads.ts';
import type { UserRow } from '../db/schema.ts';
import { AppError, ERROR_CODES } from '../lib/errors.ts';

/** What receiving needs. */
export interface ReceiveDeps {
  readonly uploads: Uploads;
  /** The user who asks. Throws UNAUTHENTICATED. */
  authenticate(request: IncomingMessage): Promise<UserRow>;
}

/** How much of the file is there. */
const OFFSET_HEADER = 'Upload-Offset';

/** Serves HEAD and PUT of /uploads/:id. Every answer says in Upload-Offset how many bytes are there. A PUT has
 *  `Content-Range: bytes <first>-<last>/<all>`, and begins where the last one ended: else nothing is taken, and the answer
 *  is 409. What arrived of a PUT that was cut off is kept. */
export function receiveUploads({ uploads, authenticate }: ReceiveDeps): Router {
  const router = Router();
  // of two that write at once, the second one would write over what the first one has not counted yet
  const busy = new Set<string>();
  const answer =
    (
      act: (
        call: { userId: string; upload: Upload },
        request: IncomingMessage,
        response: Response,
      ) => Promise<void>,
    ): RequestHandler<{ id: string }> =>
    async (request, response) => {
      const { id: userId } = await authenticate(request);
      const upload = await uploads.find(userId, request.params.id);
      if (upload === null) return refuse(response, 404, none());
      await act({ userId, upload }, request, response);
    };
  router.head(
    '/uploads/:id',
    answer(({ upload }, _request, response) => {
      response.set(OFFSET_HEADER, String(upload.receivedBytes)).status(204).end();
      return Promise.resolve();
    }),
  );
  router.put(
    '/uploads/:id',
    answer(async ({ userId, upload }, request, response) => {
      const { id, receivedBytes, sizeBytes } = upload;
      const range = rangeOf(request, sizeBytes);
      if (range.first !== receivedBytes || busy.has(id)) {
        response.set(OFFSET_HEADER, String(receivedBytes));
        const message = `The upload goes on at byte ${receivedBytes}, not ${range.first}.`;
        return refuse(response, 409, new AppError('CONFLICT', message));
      }
      busy.add(id);
      const pieces: Buffer[] = [];
      try {
        await pipeline(request, limitedTo(range.last + 1 - range.first), keepIn(pieces));
      } catch (error) {
        // who was cut off hears no answer, and goes on from what was kept
        if (request.complete) throw error;
      } finally {
        await uploads.append(userId, id, Buffer.concat(pieces)).finally(() => busy.delete(id));
      }
      const now = await uploads.find(userId, id);
      response
        .set(OFFSET_HEADER, String(now?.receivedBytes ?? 0))
        .status(204)
        .end();
    }),
  );
  return router;
}

function rangeOf(request: IncomingMessage, sizeBytes: number): { first: number; last: number } {
  const text = request.headers['content-range'] ?? '';
  const [, first, last, all] = (/^bytes (\d+)-(\d+)\/(\d+)$/.exec(text) ?? []).map(Number);
  if (first === undefined || last === undefined || last < first || all !== sizeBytes || last >= all)
    throw new AppError(
      'BAD_INPUT',
      `Content-Range is ${JSON.stringify(text)}, expected bytes <first>-<last>/${sizeBytes}.`,
    );
  return { first, last };
}

/** An upload is a few megabytes, and its user has few of them: it may be in memory until it is sealed. */
function keepIn(pieces: Buffer[]): (source: AsyncIterable<Buffer>) => Promise<void> {
  return async (source) => {
    for await (const piece of source) pieces.push(piece);
  };
}

/** Passes on so many bytes; more are an error. */
function limitedTo(bytes: number): Transform {
  let left = bytes;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      left -= chunk.length;
      const error =
        left < 0 ? new AppError('BAD_INPUT', `The body has over ${bytes} bytes.`) : null;
      done(error, chunk);
    },
  });
}

function refuse(response: Response, status: number, error: AppError): void {
  const { message, code, reason } = error;
  const extensions = { code, retryable: ERROR_CODES[code].retryable, ...(reason && { reason }) };
  response.status(status).json({ errors: [{ message, extensions }] });
}

function none(): AppError {
  return new AppError('NOT_FOUND', 'You have no such upload.', { reason: 'SEND_AGAIN' });
}
