import { heldBy } from '../adapters/held-adapters.ts';
import { liveAdapter, newestBySha256, shippedAdapters } from '../adapters/registry.ts';
import type { Db } from '../db/database.ts';
import type { AdapterRow } from '../db/schema.ts';
import { AppError } from '../lib/errors.ts';
import { shown } from '../lib/shown.ts';

/** Which adapter shall answer: what the user has now, certain bytes, what a device holds, or none. */
export type AdapterChoice =
  | { readonly kind: 'current' }
  | { readonly kind: 'bytes'; readonly sha256: string }
  | { readonly kind: 'heldBy'; readonly deviceId: string }
  | { readonly kind: 'base' };

/** The adapter of the mode that was chosen, among the user's own and the shipped ones; null: the bare base model.
 *  Throws NOT_FOUND when there is none of these bytes or on that device, CONFLICT when it was revoked. */
export async function chooseAdapter(
  deps: { readonly db: Db; readonly baseSha256: string },
  userId: string,
  mode: string,
  choice: AdapterChoice,
): Promise<AdapterRow | null> {
  const { db, baseSha256 } = deps;
  switch (choice.kind) {
    case 'base':
      return null;
    case 'heldBy':
      return heldBy(db, userId, choice.deviceId, mode);
    case 'bytes':
      return (await newestBySha256(db, userId, mode, choice.sha256)) ?? noSuchBytes(mode, choice);
    case 'current': {
      const [shipped] = await shippedAdapters(db, baseSha256, [mode]);
      return (await liveAdapter(db, userId, mode)) ?? shipped ?? null;
    }
  }
}

function noSuchBytes(mode: string, { sha256 }: { sha256: string }): never {
  throw new AppError(
    'NOT_FOUND',
    `sha256 is ${shown(sha256)}: you have no adapter of mode "${mode}" with these bytes that is not revoked.`,
  );
}
