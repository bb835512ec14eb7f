// Manifests of adapters, signed afresh for everyone who asks, and the public keys to check them with.

import type { IncomingMessage } from 'node:http';
import { type Request, type RequestHandler, Router } from 'express';
import { adaptersById } from '../adapters/registry.ts';
import type { Db } from '../db/database.ts';
import type { AdapterRow, UserRow } from '../db/schema.ts';
import type { Clock } from '../lib/clock.ts';
import { fromGlobalId, toGlobalId } from '../lib/global-id.ts';
import type { ManifestKeys } from './manifest-keys.ts';
import { type AdapterStatement, PREDICATE_TYPE, STATEMENT_TYPE } from './protocol-manifest.ts';

/** How long a manifest may be installed from: enough for a slow download, and for a clock that is wrong by some. */
const LIFETIME_MS = 24 * 60 * 60 * 1000;

/** What manifests need. */
export interface ManifestDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly manifestKeys: ManifestKeys;
  /** The user who asks. Throws UNAUTHENTICATED. */
  authenticate(request: IncomingMessage): Promise<UserRow>;
}

/** Serves GET /manifests/:adapterId to those who may install the adapter, and GET /.well-known/attune-keys.json to all. */
export function manifests(deps: ManifestDeps): Router {
  const router = Router();
  router.get('/.well-known/attune-keys.json', async (_request, response) => {
    response.json({ keys: await deps.manifestKeys.publicKeys() });
  });
  router.get('/manifests/:adapterId', serveManifest(deps));
  return router;
}

function serveManifest(deps: ManifestDeps): RequestHandler<{ adapterId: string }> {
  return async (request: Request<{ adapterId: string }>, response) => {
    const user = await deps.authenticate(request);
    const adapter = await findAdapter(deps.db, user.id, request.params.adapterId);
    if (adapter === undefined) {
      const error = { message: 'You have no such adapter.', extensions: { code: 'NOT_FOUND' } };
      response.status(404).json({ errors: [error] });
      return;
    }
    response.set('Cache-Control', 'no-store');
    response.json(await deps.manifestKeys.sign(await statementOf(deps, user.id, adapter)));
  };
}

/** The adapter, if the user may install it. */
async function findAdapter(db: Db, userId: string, id: string): Promise<AdapterRow | undefined> {
  const named = fromGlobalId(id);
  if (named?.type !== 'Adapter') return undefined;
  const [adapter] = await adaptersById(db, userId, [named.id]);
  return adapter?.status === 'LIVE' || adapter?.status === 'SUPERSEDED' ? adapter : undefined;
}

async function statementOf(
  { db, clock }: ManifestDeps,
  userId: string,
  adapter: AdapterRow,
): Promise<AdapterStatement> {
  const dataset = await db
    .selectFrom('datasets')
    .select('sha256')
    .where('id', '=', adapter.datasetId)
    .executeTakeFirst();
  const files = adapter.files.map(({ name, sizeBytes, sha256 }) => ({ name, sizeBytes, sha256 }));
  return {
    _type: STATEMENT_TYPE,
    predicateType: PREDICATE_TYPE,
    subject: files.map(({ name, sha256 }) => ({ name, digest: { sha256 } })),
    predicate: {
      user: toGlobalId('User', userId),
      adapterId: toGlobalId('Adapter', adapter.id),
      mode: adapter.mode,
      shipped: adapter.userId === null,
      version: adapter.version,
      base: adapter.baseSha256,
      files,
      dataset: dataset?.sha256 ?? null,
      changeSeq: adapter.dataThrough,
      createdAt: adapter.createdAt.toISOString(),
      expires: new Date(clock.now() + LIFETIME_MS).toISOString(),
      previous: await previousOf(db, adapter),
    },
  };
}

/** The version that this one took the place of. */
async function previousOf(db: Db, { userId, mode, version }: AdapterRow) {
  const owner = userId === null ? 'is' : '=';
  const previous = await db
    .selectFrom('adapters')
    .select(['version', 'sha256'])
    .where('userId', owner, userId)
    .where('mode', '=', mode)
    .where('version', '=', version - 1)
    .where('status', '!=', 'REJECTED')
    .executeTakeFirst();
  return previous ?? null;
}
