import type { ChangeMessage } from '../../sync/protocol.ts';
import type { SyncParts } from '../sync/sync-parts.ts';
import { forget } from './forget.ts';
import { recordName } from './local-records.ts';

/** Forgets the records of the sources that the server has no more: another device deleted them, which no feed tells. What
 *  waits to be sent stays. Throws ApiError. */
export async function dropDeletedElsewhere(
  parts: SyncParts,
  sources: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { outbox, records, storage } = parts;
  const kept = await records.read(sources);
  const waiting = new Set((await outbox.waiting()).map(recordName));
  const there = new Set<string>();
  for (const source of sources)
    for (const recordId of await idsOf(parts, source, signal))
      there.add(recordName({ source, recordId }));
  const gone = kept.filter((record) => {
    return !there.has(recordName(record)) && !waiting.has(recordName(record));
  });
  const deletions = gone.map(({ source, recordId }): ChangeMessage => {
    return { source, recordId, kind: 'DELETE', occurredAt: '' };
  });
  await forget(parts, deletions, (besides) => {
    return storage.write([...deletions.flatMap((one) => records.writesOf(one)), ...besides]);
  });
}

async function idsOf(
  { api }: SyncParts,
  source: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  interface Page {
    readonly edges: readonly { readonly node: { readonly recordId: string } }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  }
  const ids: string[] = [];
  for (let after: string | null = null, isOver = false; !isOver; ) {
    type Answer = { viewer: { records: Page } };
    const { viewer }: Answer = await api.ask<Answer>('Records', { source, after }, signal);
    const { edges, pageInfo }: Page = viewer.records;
    ids.push(...edges.map(({ node }) => node.recordId));
    after = pageInfo.endCursor;
    isOver = !pageInfo.hasNextPage;
  }
  return ids;
}
