// A user's adapter feed, read page by page.

import { sql } from 'kysely';
import { eventsThatMatter } from '../adapters/feed-events.ts';
import type { Db } from '../db/database.ts';
import type { AdapterRow, FeedKind } from '../db/schema.ts';
import { columnOf, sqlArray } from '../db/sql-array.ts';
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
  /** The modes that this server has: adapters of others are none of its devices'. */
  readonly catalog: { readonly modes: readonly { readonly key: string }[] };
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

/** Where somebody is in a user's feed. */
export interface FeedPlace {
  readonly userId: string;
  /** The cursor; null: at the beginning. */
  readonly after: string | null;
}

/** The next events after a cursor, every one of them but those of modes that this server does not have. From null: the
 *  live adapters, and the revocations of adapters that
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
  const [page] = await readFeeds(deps, [{ userId, after }], first);
  if (page instanceof Error) throw page;
  return must(page, 'a place has its page');
}

/** As readFeed, for several places, whoever's they are: a page for each, or why there is none. */
export async function readFeeds(
  deps: FeedDeps,
  places: readonly FeedPlace[],
  first: number,
): Promise<readonly (FeedPage | Resync | Error)[]> {
  const starts = places.map(({ userId, after }) =>
    after === null ? null : decodeCursor(deps.cursorSecret, userId, after),
  );
  const asked = places.flatMap(({ userId }, place) => {
    const given = starts[place] ?? null;
    return typeof given === 'string' ? [] : [{ place, userId, given }];
  });
  const rows = places.map((): FeedRow[] => []);
  for (const row of await readRows(deps, asked, first + 1)) rows[row.place]?.push(row);
  return places.map(({ userId }, place) => {
    const given = starts[place] ?? null;
    if (typeof given === 'string') return resync(given);
    return pageOf(deps, userId, { given, rows: rows[place] ?? [], first });
  });
}

type FeedRow = Awaited<ReturnType<typeof readRows>>[number];

function pageOf(
  deps: FeedDeps,
  userId: string,
  { given, rows, first }: { given: FeedPosition | null; rows: readonly FeedRow[]; first: number },
): FeedPage | Resync | Error {
  const [feed] = rows;
  if (feed === undefined) return new Error(`there is no user ${userId}`);
  const start = startOf(given, feed);
  if ('kind' in start) return start;
  // a feed without events is one row all the same
  const events = rows.flatMap(({ event }) => event ?? []);
  const shown = events.slice(0, first);
  const hasMore = events.length > first;
  // what was left out below the end of the feed was left out for good
  const end = hasMore ? 0 : feed.feedSeq;
  const at = (seq: number) => encodeCursor(deps.cursorSecret, userId, { ...start, seq });
  return {
    kind: 'page',
    events: shown.map((event) => toEvent(event, at(event.seq))),
    cursor: at(Math.max(start.seq, shown.at(-1)?.seq ?? 0, end)),
    hasMore,
    feedSeq: feed.feedSeq,
  };
}

/** The checksum of what a device holds that has taken every event up to the end of this page; null in the middle of the
 *  feed, and when something has happened since the page was read. */
export async function checksumAfter(
  { db, catalog }: Pick<FeedDeps, 'db' | 'catalog'>,
  userId: string,
  page: FeedPage,
): Promise<string | null> {
  if (page.hasMore) return null;
  const live = await db
    .selectFrom('adapters')
    .select(['mode', 'id'])
    .where('userId', '=', userId)
    .where('status', '=', 'LIVE')
    .where(isServed(catalog))
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
  given: FeedPosition | null,
  feed: { feedSeq: number; feedEpoch: string; feedFloor: number },
): FeedPosition | Resync {
  if (given === null) return { epoch: feed.feedEpoch, seq: 0, freshThrough: feed.feedSeq };
  if (given.epoch !== feed.feedEpoch) return resync('NEW_EPOCH');
  if (given.seq > feed.feedSeq) return resync('AHEAD');
  // who began from null needs nothing of what was trimmed up to there
  if (Math.max(given.seq, given.freshThrough) < feed.feedFloor) return resync('EXPIRED');
  return given;
}

const REASONS: Readonly<Record<ResyncCode, string>> = {
  UNKNOWN_CURSOR: 'the cursor is none of this feed',
  OTHER_SCHEMA: 'the cursor was made by another version of the server',
  NEW_EPOCH: 'the feed has begun anew since',
  AHEAD: 'the cursor is ahead of the feed',
  EXPIRED: 'the cursor is so old that what came after it is no longer kept',
};

const resync = (code: ResyncCode): Resync => ({ kind: 'resync', code, reason: REASONS[code] });

/** How far the feed of each place reaches, on every row, and the events in order, one a row; the READY ones with their
 *  adapters. One statement: all phones of a server may look at the same moment. */
async function readRows(
  { db, clock, catalog }: FeedDeps,
  asked: readonly { place: number; userId: string; given: FeedPosition | null }[],
  limit: number,
) {
  if (asked.length === 0) return [];
  const columns = asked.map(({ place, userId, given }) => ({
    ...{ place, userId, seq: given?.seq ?? 0, freshThrough: given?.freshThrough ?? null },
  }));
  const places = sql<Asked>`unnest(${columnOf(columns, 'place', 'integer')}, ${columnOf(columns, 'userId', 'uuid')},
    ${columnOf(columns, 'seq', 'integer')}, ${columnOf(columns, 'freshThrough', 'integer')})`;
  const events = eventsAfter(db, new Date(clock.now()))
    .where((eb) => eb.or([eb('kind', '=', 'REVOKED'), isServed(catalog)]))
    .limit(limit);
  const rows = await db
    .selectFrom(places.as<'asked'>(sql`asked(place, user_id, seq, fresh_through)`))
    .innerJoin('users', 'users.id', 'asked.userId')
    .leftJoinLateral(events.as('event'), (join) => join.onTrue())
    .leftJoin('adapters', (join) =>
      join
        .onRef('adapters.id', '=', 'event.eventAdapterId')
        .onRef('adapters.userId', '=', 'asked.userId')
        .on('event.eventKind', '=', 'READY'),
    )
    .selectAll(['adapters', 'event'])
    .select(['asked.place', 'users.feedSeq', 'users.feedEpoch', 'users.feedFloor'])
    .orderBy('asked.place')
    .orderBy('event.eventSeq')
    .execute();
  return rows.map(({ place, feedSeq, feedEpoch, feedFloor, ...row }) => ({
    ...{ place, feedSeq, feedEpoch, feedFloor },
    // what a join has not found is null in every column
    event: row.eventSeq === null ? null : splitRow(row as EventRow),
  }));
}

/** Whether a row's mode is one of the server's. */
function isServed({ modes }: FeedDeps['catalog']) {
  const keys = modes.map(({ key }) => key);
  return sql<boolean>`mode = any(${sqlArray('text', keys)})`;
}

/** A place as the statement sees it. */
interface Asked {
  readonly place: number;
  readonly userId: string;
  readonly seq: number;
  readonly freshThrough: number | null;
}

/** The events of the place `asked` and of its user. */
function eventsAfter(db: Db, now: Date) {
  const userId = sql.ref<string>('asked.userId');
  return db
    .selectFrom('feedEvents')
    .select(['seq as eventSeq', 'kind as eventKind', 'mode as eventMode'])
    .select(['adapterId as eventAdapterId', 'reason as eventReason', 'trace as eventTrace'])
    .where('userId', '=', userId)
    .where('seq', '>', sql.ref<number>('asked.seq'))
    .where((eb) =>
      eb.or([
        eb('seq', '>', sql<number>`coalesce(asked.fresh_through, users.feed_seq)`),
        eb('seq', 'in', eventsThatMatter(db, userId, now)),
      ]),
    )
    .orderBy('seq');
}

/** An event, and the columns of its adapter if it is READY. */
type EventRow = AdapterRow & {
  readonly eventSeq: number;
  readonly eventKind: FeedKind;
  readonly eventMode: string;
  readonly eventAdapterId: string;
  readonly eventReason: string | null;
  readonly eventTrace: string | null;
};

function splitRow({
  eventSeq: seq,
  eventKind: kind,
  eventMode: modeKey,
  eventAdapterId: adapterId,
  eventReason: reason,
  eventTrace: trace,
  ...adapter
}: EventRow) {
  return { seq, kind, modeKey, adapterId, reason, trace, adapter };
}

function toEvent(
  { kind, trace, adapterId, modeKey, reason, adapter }: ReturnType<typeof splitRow>,
  cursor: string,
): FeedEvent {
  if (kind === 'REVOKED')
    return { kind: 'revoked', cursor, trace, adapterId, modeKey, reason: reason ?? '' };
  must(adapter.id, 'a feed names own adapters');
  return { kind: 'ready', cursor, trace, adapter };
}
