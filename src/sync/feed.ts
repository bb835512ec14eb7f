// A user's adapter feed, read page by page.

import { eventsThatMatter } from '../adapters/feed-events.ts';
import { adaptersById } from '../adapters/registry.ts';
import type { Db } from '../db/database.ts';
import type { AdapterRow, FeedEventRow } from '../db/schema.ts';
import type { Clock } from '../lib/clock.ts';
import { AppError, must } from '../lib/errors.ts';
import { toGlobalId } from '../lib/global-id.ts';
import { type CursorFlaw, decodeCursor, encodeCursor, type FeedPosition } from './cursor.ts';
import { feedChecksum } from './protocol-checksum.ts';

/** Most events in one page. */
export const MAX_EVENTS = 100;

/** What reading the feed needs. */
export interface FeedDeps {
  readonly db: Db;
  readonly clock: Clock;
  /** Signs cursors: readCursorSecret. */
  readonly cursorSecret: Uint8Array;
}

/** An adapter to install or to remove, and the position after it. */
export type FeedEvent =
  | {
      readonly kind: 'ready';
      readonly cursor: string;
      readonly trace: string | null;
      readonly adapter: AdapterRow;
    }
  | {
      readonly kind: 'revoked';
      readonly cursor: string;
      readonly trace: string | null;
      readonly adapterId: string;
      readonly modeKey: string;
      readonly reason: string;
    };

/** Why a cursor leads nowhere. NEW_EPOCH: the feed began anew since. AHEAD: the feed is shorter. EXPIRED: what came after
 *  the cursor was trimmed. */
export type ResyncCode = CursorFlaw | 'NEW_EPOCH' | 'AHEAD' | 'EXPIRED';

/** The device must drop its state and start from null. */
export interface Resync {
  readonly kind: 'resync';
  readonly code: ResyncCode;
  readonly reason: string;
}

/** Some events in order, and where to go on. */
export interface FeedPage {
  readonly kind: 'page';
  readonly events: readonly FeedEvent[];
  readonly cursor: string;
  readonly hasMore: boolean;
  /** How far the feed reached when the page was read. */
  readonly feedSeq: number;
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
    .select(['feedSeq', 'feedEpoch', 'feedFloor'])
    .where('id', '=', userId)
    .executeTakeFirstOrThrow();
  const start = startOf(deps, userId, after, feed);
  if ('kind' in start) return start;
  const rows = await readRows(deps, userId, start, first + 1);
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
    feedSeq: feed.feedSeq,
  };
}

/** The checksum of what a device holds that has taken every event up to the end of this page; null in the middle of the
 *  feed, and when something has happened since the page was read. */
export async function checksumAfter(
  { db }: Pick<FeedDeps, 'db'>,
  userId: string,
  page: FeedPage,
): Promise<string | null> {
  if (page.hasMore) return null;
  const live = await db
    .selectFrom('adapters')
    .select(['mode', 'id'])
    .where('userId', '=', userId)
    .where('status', '=', 'LIVE')
    .execute();
  const { feedSeq } = await db
    .selectFrom('users')
    .select('feedSeq')
    .where('id', '=', userId)
    .executeTakeFirstOrThrow();
  // every change of what is live takes a place in the feed
  if (feedSeq !== page.feedSeq) return null;
  return feedChecksum(live.map(({ mode, id }) => [mode, toGlobalId('Adapter', id)]));
}

function startOf(
  deps: FeedDeps,
  userId: string,
  after: string | null,
  feed: { feedSeq: number; feedEpoch: string; feedFloor: number },
): FeedPosition | Resync {
  if (after === null) return { epoch: feed.feedEpoch, seq: 0, freshThrough: feed.feedSeq };
  const position = decodeCursor(deps.cursorSecret, userId, after);
  if (typeof position === 'string') return resync(position);
  if (position.epoch !== feed.feedEpoch) return resync('NEW_EPOCH');
  if (position.seq > feed.feedSeq) return resync('AHEAD');
  // who began from null needs nothing of what was trimmed up to there
  if (Math.max(position.seq, position.freshThrough) < feed.feedFloor) return resync('EXPIRED');
  return position;
}

const REASONS: Readonly<Record<ResyncCode, string>> = {
  UNKNOWN_CURSOR: 'the cursor is none of this feed',
  OTHER_SCHEMA: 'the cursor was made by another version of the server',
  NEW_EPOCH: 'the feed has begun anew since',
  AHEAD: 'the cursor is ahead of the feed',
  EXPIRED: 'the cursor is so old that what came after it is no longer kept',
};

const resync = (code: ResyncCode): Resync => ({ kind: 'resync', code, reason: REASONS[code] });

function readRows(
  { db, clock }: FeedDeps,
  userId: string,
  start: FeedPosition,
  limit: number,
): Promise<FeedEventRow[]> {
  const now = new Date(clock.now());
  return db
    .selectFrom('feedEvents')
    .selectAll()
    .where('userId', '=', userId)
    .where('seq', '>', start.seq)
    .where((eb) =>
      eb.or([
        eb('seq', '>', start.freshThrough),
        eb('seq', 'in', eventsThatMatter(db, userId, now)),
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
  return rows.map(({ kind, seq, adapterId, mode: modeKey, reason, trace = null }) => {
    const event = { cursor: at(seq), trace };
    return kind === 'READY'
      ? { ...event, kind: 'ready', adapter: must(byId.get(adapterId), 'a feed names own adapters') }
      : { ...event, kind: 'revoked', adapterId, modeKey, reason: reason ?? '' };
  });
}
