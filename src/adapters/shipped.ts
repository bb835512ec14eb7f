import { sql } from 'kysely';
import type { Db, Tx } from '../db/database.ts';
import type { StoredFile } from '../db/schema.ts';
import type { Lineage } from './lineage.ts';

/** An adapter that ships with a mode, for everyone; its files are in the store. */
export interface ShippedAdapter {
  readonly mode: string;
  readonly baseSha256: string;
  readonly sha256: string;
  readonly rank: number;
  readonly files: readonly StoredFile[];
  /** Absent or null: it was made elsewhere. */
  readonly lineage?: Lineage | null;
}

/** Brings the registry in line with what this server ships: new bytes are a new version, what is no longer shipped is
 *  superseded. Safe to repeat, and for two servers that start at once. */
export async function registerShipped(
  db: Db,
  shipped: readonly ShippedAdapter[],
  now: Date,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    // one server at a time; there is no row yet to lock
    await sql`select pg_advisory_xact_lock(hashtext('attune.shipped'))`.execute(tx);
    const live = await tx
      .selectFrom('adapters')
      .selectAll()
      .where('userId', 'is', null)
      .where('status', '=', 'LIVE')
      .execute();
    const isSame = (a: Identity, b: Identity) => IDENTITY.every((key) => a[key] === b[key]);
    const outdated = live.filter((row) => !shipped.some((one) => isSame(one, row)));
    if (outdated.length > 0) {
      const ids = outdated.map(({ id }) => id);
      await tx
        .updateTable('adapters')
        .set({ status: 'SUPERSEDED' })
        .where('id', 'in', ids)
        .execute();
    }
    for (const one of shipped.filter((candidate) => !live.some((row) => isSame(candidate, row)))) {
      await insertShipped(tx, one, now);
    }
  });
}

const IDENTITY = ['mode', 'baseSha256', 'sha256'] as const;
type Identity = Readonly<Record<(typeof IDENTITY)[number], string>>;

async function insertShipped(tx: Tx, shipped: ShippedAdapter, now: Date): Promise<void> {
  const { last } = await tx
    .selectFrom('adapters')
    .select((eb) => eb.fn.coalesce(eb.fn.max('version'), sql<number>`0`).as('last'))
    .where('userId', 'is', null)
    .where('mode', '=', shipped.mode)
    .executeTakeFirstOrThrow();
  await tx
    .insertInto('adapters')
    .values({
      ...shipped,
      userId: null,
      version: last + 1,
      status: 'LIVE',
      origin: 'SHIPPED',
      files: JSON.stringify(shipped.files),
      lineage: shipped.lineage ? JSON.stringify(shipped.lineage) : null,
      createdAt: now,
    })
    .execute();
}
