// Which adapters there are, as rows: one live at most per (user, mode), and one shipped per mode for everyone.
// Every read is scoped: an adapter is the user's own, or shipped.

import type { Db } from '../db/database.ts';
import { type Page, type PageArgs, page } from '../db/page.ts';
import type { AdapterRow } from '../db/schema.ts';

/** The user's own live adapter of the mode; null when the shipped one or the bare base answers. */
export async function liveAdapter(
  db: Db,
  userId: string,
  mode: string,
): Promise<AdapterRow | null> {
  return (await liveAdapters(db, userId, [mode]))[0] ?? null;
}

/** The user's own live adapters of these modes, in no order. */
export async function liveAdapters(
  db: Db,
  userId: string,
  modes: readonly string[],
): Promise<AdapterRow[]> {
  if (modes.length === 0) return [];
  return await db
    .selectFrom('adapters')
    .selectAll()
    .where('userId', '=', userId)
    .where('mode', 'in', modes)
    .where('status', '=', 'LIVE')
    .execute();
}

/** The adapters that ship with these modes for this base, in no order. */
export async function shippedAdapters(
  db: Db,
  baseSha256: string,
  modes: readonly string[],
): Promise<AdapterRow[]> {
  if (modes.length === 0) return [];
  return await db
    .selectFrom('adapters')
    .selectAll()
    .where('userId', 'is', null)
    .where('mode', 'in', modes)
    .where('baseSha256', '=', baseSha256)
    .where('status', '=', 'LIVE')
    .execute();
}

/** Those of the ids that are the user's own or shipped adapters, in no order. */
export async function adaptersById(
  db: Db,
  userId: string,
  ids: readonly string[],
): Promise<AdapterRow[]> {
  if (ids.length === 0) return [];
  return await db
    .selectFrom('adapters')
    .selectAll()
    .where('id', 'in', ids)
    .where((eb) => eb.or([eb('userId', '=', userId), eb('userId', 'is', null)]))
    .execute();
}

/** The adapter, whoever's it is: for ids that come from the user's own rows. */
export async function adapterById(db: Db, id: string): Promise<AdapterRow | null> {
  const row = await db.selectFrom('adapters').selectAll().where('id', '=', id).executeTakeFirst();
  return row ?? null;
}

/** The user's newest published adapter of the mode with these bytes, else the shipped one with them; revoked ones do not
 *  count. Null when there is none. */
export async function newestBySha256(
  db: Db,
  userId: string,
  mode: string,
  sha256: string,
): Promise<AdapterRow | null> {
  const newest = await db
    .selectFrom('adapters')
    .selectAll()
    .where('mode', '=', mode)
    .where('sha256', '=', sha256)
    .where('status', 'in', ['LIVE', 'SUPERSEDED'])
    .where((eb) => eb.or([eb('userId', '=', userId), eb('userId', 'is', null)]))
    .orderBy('userId', (order) => order.asc().nullsLast())
    .orderBy('seq', 'desc')
    .executeTakeFirst();
  return newest ?? null;
}

/** A page of the user's own adapters of the mode, newest first. */
export function pageAdapters(
  db: Db,
  userId: string,
  mode: string,
  args: PageArgs,
): Promise<Page<AdapterRow>> {
  const own = db
    .selectFrom('adapters')
    .selectAll()
    .where('userId', '=', userId)
    .where('mode', '=', mode);
  return page(own, { column: 'seq', order: 'desc' }, args);
}
