// What a deleted record takes with it on the device that learnt from it: the training that was made or is being made of it,
// and every adapter that this device has made since. The server does the same for what it trained.

import type { AdapterMessage, ChangeMessage } from '../../sync/protocol.ts';
import type { Write } from '../storage/storage.ts';
import { isHopeless } from '../sync/reports.ts';
import { without } from '../sync/shelf.ts';
import type { SyncParts } from '../sync/sync-parts.ts';
import type { Forgotten } from './learnt.ts';
import { recordName } from './local-records.ts';

/** Twice as long as a server keeps an upload: after that nothing can be published from it. */
const UPLOAD_MS = 2 * 24 * 60 * 60 * 1000;

/** Makes the writes of a deletion with `write`, and takes out of use what learnt from what is deleted. */
export async function forget(
  parts: SyncParts,
  changes: readonly ChangeMessage[],
  write: (writes: readonly Write[]) => Promise<void>,
): Promise<void> {
  const hashes = await parts.learnt.exclusively(async () => {
    const forgetting = await forgettingOf(parts, changes);
    await write(forgetting.writes);
    return forgetting.hashes;
  });
  if (hashes.length > 0) await dropBytes(parts, new Set(hashes));
}

/** What the deletions among the changes take with them. */
async function forgettingOf(
  { api, modes, learnt, trained }: SyncParts,
  changes: readonly ChangeMessage[],
): Promise<{ readonly writes: readonly Write[]; readonly hashes: readonly string[] }> {
  const at = api.access.clock.now();
  const writes: Write[] = [];
  const hashes: string[] = [];
  const deleted = changes.filter(({ kind }) => kind === 'DELETE');
  for (const [mode, { definition }] of deleted.length === 0 ? [] : await modes.all()) {
    const { training } = definition;
    const names = deleted
      .filter(({ source }) => training?.sources.includes(source))
      .map(recordName);
    if (training === undefined || names.length === 0) continue;
    const held = await learnt.forgetting(mode, names);
    writes.push(...held.writes, ...(await trained.forgetting(mode, names)));
    hashes.push(...held.hashes);
    // records that the server has are deleted there, and take their adapters with them
    if (training.where === 'device')
      writes.push(...held.hashes.map((sha256) => learnt.withdrawing({ sha256, mode, at })));
  }
  return { writes, hashes };
}

/** Whether the adapter has one of these files. */
export function hasBytes({ files }: AdapterMessage, hashes: ReadonlySet<string>): boolean {
  return files.some(({ sha256 }) => hashes.has(sha256));
}

async function dropBytes({ shelf }: SyncParts, hashes: ReadonlySet<string>): Promise<void> {
  await shelf.update((now) => {
    const adapters = Object.values(now.slots).flatMap(({ wanted, installed }) => [
      ...(wanted === null ? [] : [wanted]),
      ...(installed === null ? [] : [installed]),
    ]);
    const ids = adapters.filter((one) => hasBytes(one, hashes)).map(({ id }) => id);
    return ids.length === 0 ? now : without(now, ids);
  });
}

/** Has the server revoke whatever has forgotten bytes, for the user's other devices and the cloud: also what was published
 *  without this device's hearing of it, or is later than it knows. Throws ApiError. */
export async function withdrawForgotten(parts: SyncParts, signal: AbortSignal): Promise<void> {
  const { api, learnt } = parts;
  const forgotten = await learnt.forgotten();
  for (const mode of new Set(forgotten.map((one) => one.mode))) {
    const own = forgotten.filter((one) => one.mode === mode);
    await withdraw(parts, mode, own, signal);
    const now = api.access.clock.now();
    for (const one of own) if (now - one.at > UPLOAD_MS) await learnt.settle(one);
  }
}

async function withdraw(
  parts: SyncParts,
  mode: string,
  forgotten: readonly Forgotten[],
  signal: AbortSignal,
): Promise<void> {
  const hashes = new Set(forgotten.map(({ sha256 }) => sha256));
  await dropBytes(parts, hashes);
  for (const adapterId of await versionsWith(parts, { mode, hashes }, signal))
    await parts.api.ask('Withdraw', { adapterId }, signal).catch((error: unknown) => {
      if (!isHopeless(error)) throw error;
    });
}

interface Versions {
  readonly edges: readonly {
    readonly node: Pick<AdapterMessage, 'id' | 'files'> & { readonly status: string };
  }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

/** The versions of the mode that have one of the files and are not revoked. */
async function versionsWith(
  { api }: SyncParts,
  { mode, hashes }: { readonly mode: string; readonly hashes: ReadonlySet<string> },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let after: string | null = null, isOver = false; !isOver; ) {
    type Answer = { viewer: { mode: { adapters: Versions } | null } };
    const { viewer }: Answer = await api.ask<Answer>('Versions', { mode, after }, signal);
    const { edges = [], pageInfo }: Partial<Versions> = viewer.mode?.adapters ?? {};
    for (const { node } of edges)
      if (node.status !== 'REVOKED' && node.files.some((file) => hashes.has(file.sha256)))
        ids.push(node.id);
    after = pageInfo?.endCursor ?? null;
    isOver = !(pageInfo?.hasNextPage ?? false);
  }
  return ids;
}
