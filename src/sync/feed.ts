// A user's adapter feed, read page by page or followed. The table is the truth; wakeups only say when to look again.

import { adaptersById } from '../adapters/registry.ts';
import type { Db } from '../db/database.ts';
import type { AdapterRow, FeedEventRow } from '../db/schema.ts';
import { AppError, must } from '../lib/errors.ts';
import { feedTopic, type Wakeups } from '../lib/wakeups.ts';
import { decodeCursor, encodeCursor, type FeedPosition } from './cursor.ts';

/** Most events in one page. */
const MAX_EVENTS = 100;

/** What reading the feed needs. */
export interface FeedDeps {
  readonly db: Db;
  /** Signs cursors: readCursorSecret. */
  readonly cursorSecret: Uint8Array;
}

/** An adapter to install or to remove, and the position after it. */
export type FeedEvent =
  | { readonly kind: 'ready'; readonly cursor: string; readonly adapter: AdapterRow }
  | {
      readonly kind: 'revoked';
      readonly cursor: string;
      readonly adapterId: string;
      readonly modeKey: string;
      readonly reason: string;
    };

/** The device must drop its state and start from null. */
export interface Resync {
  readonly kind: 'resync';
  readonly reason: string;
}

/** Some events in order, and where to go on. */
export interface FeedPage {
  readonly kind: 'page';
  readonly events: readonly FeedEvent[];
  readonly cursor: string;
  readonly hasMore: boolean;
}

/** The next events after a cursor, every one of them. From null: the live adapters, and the revocations of adapters that
 *  one of the user's devices still holds. Throws BAD_INPUT unless `first` is from 1 to 100. */
export async function readFeed(
  deps: FeedDeps,
  userId: string,
  after: string | null,
  first: number,
): Promise<FeedPage | Resync> {
  if (!Number.isInteger(first) || first < 1 || first > MAX_EVENTS) {
    throw new AppError('BAD_INPUT', `first is ${first}; it must be from 1 to ${MAX_EVENTS}.`);
  }
  const feed = await deps.db
    .selectFrom('users')
    .select(['feedSeq', 'feedEpoch'])
    .where('id', '=', userId)
    .executeTakeFirstOrThrow();
  const start = startOf(deps, userId, after, feed);
  if ('kind' in start) return start;
  const rows = await readRows(deps.db, userId, start, first + 1);
  const shown = rows.slice(0, first);
  const hasMore = rows.length > first;
  // what was left out below the end of the feed was left out for good
  const end = hasMore ? 0 : feed.feedSeq;
  const at = (seq: number) => encodeCursor(deps.cursorSecret, userId, { ...start, seq });
  return {
    kind: 'page',
    events: await toEvents(deps.db, userId, shown, at),
    cursor: at(Math.max(start.seq, shown.at(-1)?.seq ?? 0, end)),
    hasMore,
  };
}

/** The feed after a cursor, for ever: what is there, then what comes, with nothing lost between the two. Ends when the
 *  signal aborts, and after a resync. */
export async function* followFeed(
  deps: FeedDeps & { readonly wakeups: Wakeups },
  userId: string,
  after: string | null,
  signal: AbortSignal,
): AsyncGenerator<FeedEvent | Resync, void> {
  let position = after;
  // following starts before the first read, so what commits in between wakes us
  for await (const _ of deps.wakeups.follow(feedTopic(userId), signal)) {
    for (let hasMore = true; hasMore; ) {
      const page = await readFeed(deps, userId, position, MAX_EVENTS);
      if (page.kind === 'resync') {
        yield page;
        return;
      }
      yield* page.events;
      position = page.cursor;
      hasMore = page.hasMore;
    }
  }
}

function startOf(
  deps: FeedDeps,
  userId: string,
  after: string | null,
  feed: { feedSeq: number; feedEpoch: string },
): FeedPosition | Resync {
  if (after === null) return { epoch: feed.feedEpoch, seq: 0, freshThrough: feed.feedSeq };
  const position = decodeCursor(deps.cursorSecret, userId, after);
  if (position === null) return resync('the cursor is none of this feed');
  if (position.epoch !== feed.feedEpoch) return resync('the feed has begun anew since');
  if (position.seq > feed.feedSeq) return resync('the cursor is ahead of the feed');
  return position;
}

const resync = (reason: string): Resync => ({ kind: 'resync', reason });

function readRows(
  db: Db,
  userId: string,
  start: FeedPosition,
  limit: number,
): Promise<FeedEventRow[]> {
  const held = db.selectFrom('heldAdapters').select('adapterId').where('userId', '=', userId);
  const live = db
    .selectFrom('adapters')
    .select('id')
    .where('userId', '=', userId)
    .where('status', '=', 'LIVE');
  return db
    .selectFrom('feedEvents')
    .selectAll()
    .where('userId', '=', userId)
    .where('seq', '>', start.seq)
    .where((eb) =>
      eb.or([
        eb('seq', '>', start.freshThrough),
        eb.and([eb('kind', '=', 'READY'), eb('adapterId', 'in', live)]),
        eb.and([eb('kind', '=', 'REVOKED'), eb('adapterId', 'in', held)]),
      ]),
    )
    .orderBy('seq')
    .limit(limit)
    .execute();
}

async function toEvents(
  db: Db,
  userId: string,
  rows: readonly FeedEventRow[],
  at: (seq: number) => string,
): Promise<FeedEvent[]> {
  const ready = rows.filter(({ kind }) => kind === 'READY').map(({ adapterId }) => adapterId);
  const adapters = await adaptersById(db, userId, ready);
  const byId = new Map(adapters.map((adapter) => [adapter.id, adapter]));
  return rows.map(({ kind, seq, adapterId, mode: modeKey, reason }) => {
    const cursor = at(seq);
    return kind === 'READY'
      ? { kind: 'ready', cursor, adapter: must(byId.get(adapterId), 'a feed names own adapters') }
      : { kind: 'revoked', cursor, adapterId, modeKey, reason: reason ?? '' };
  });
}
