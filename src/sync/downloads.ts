// The files that devices download: adapters and the base. Their names are hashes of their bytes, so they never change and
// a broken download goes on where it stopped. Who may read an adapter's bytes is asked in SQL, each time.

import type { IncomingMessage } from 'node:http';
import { type RequestHandler, Router } from 'express';
import type { AdapterName, AdapterStore } from '../adapters/store.ts';
import type { Db } from '../db/database.ts';
import type { StoredFile, UserRow } from '../db/schema.ts';
import type { Folder } from '../sealing/private-folder.ts';
import { refuse, sendFile } from './send-file.ts';

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
  const { dir: folder, files } = deps.base;
  const model = {
    adapter: null,
    folder,
    files: [...files, ...[...deps.trainingFiles.values()].flat()],
  };
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
interface Readable {
  readonly folder: Folder;
  readonly files: readonly StoredFile[];
  /** Null: the base. */
  readonly adapter: AdapterName | null;
}

async function adapterFolder(
  { db, store }: DownloadDeps,
  userId: string,
  sha256: string,
): Promise<Readable | null> {
  const adapter = await db
    .selectFrom('adapters')
    .select(['userId', 'sha256', 'files'])
    .where('sha256', '=', sha256)
    .where('status', 'in', ['LIVE', 'SUPERSEDED'])
    .where((eb) => eb.or([eb('userId', '=', userId), eb('userId', 'is', null)]))
    // one's own first
    .orderBy('userId')
    .limit(1)
    .executeTakeFirst();
  // never damaged bytes: whoever checks their hash would ask again for ever
  if (adapter === undefined || !(await store.isServable(adapter))) return null;
  return { adapter, folder: await store.folderOf(adapter), files: adapter.files };
}

function serve(
  deps: DownloadDeps,
  find: (userId: string, sha256: string) => Readable | null | Promise<Readable | null>,
): RequestHandler<{ sha256: string; file: string }> {
  return async (request, response, next) => {
    const user = await deps.authenticate(request);
    const { sha256, file } = request.params;
    const readable = SHA256.test(sha256) ? await find(user.id, sha256) : null;
    const found = readable?.files.find(({ name }) => name === file);
    // never damaged bytes, nor an answer that breaks off each time: 404 sends a device to another file
    if (readable === null || found === undefined || !(await isWhole(deps, readable, found))) {
      refuse(response, 404, 'NOT_FOUND', `You have no file ${request.path}.`);
    } else {
      await sendFile(request, response, { folder: readable.folder, file: found }, next);
    }
  };
}

function isWhole({ store }: DownloadDeps, { adapter }: Readable, file: StoredFile) {
  return adapter === null || store.isWhole(adapter, file);
}
