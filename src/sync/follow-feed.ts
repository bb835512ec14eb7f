// A user's adapter feed, followed. The table is the truth; wakeups only say when to look again. Thousands of these wait on one
// server, so each is one object and keeps no more than its place.

import type { Db } from '../db/database.ts';
import { feedTopic, type Wakeups } from '../lib/wakeups.ts';
import {
  type FeedDeps,
  type FeedEvent,
  type FeedPage,
  MAX_EVENTS,
  type Resync,
  readFeed,
} from './feed.ts';
import { SharedReads } from './shared-reads.ts';

/** What following the feed needs. */
export interface FollowDeps extends FeedDeps {
  readonly wakeups: Wakeups;
}

const END = { done: true, value: undefined } as const;

/** The feed after a cursor, for ever: what is there, then what comes, with nothing lost between the two. Ends after a resync,
 *  and at once, also while it waits, when the signal aborts and on return(). */
export function followFeed(
  deps: FollowDeps,
  userId: string,
  after: string | null,
  signal: AbortSignal,
): AsyncIterableIterator<FeedEvent | Resync> {
  // following starts before the first read, so what commits in between wakes us
  return new FeedFollower(deps, userId, after, deps.wakeups.follow(feedTopic(userId), signal));
}

class FeedFollower implements AsyncIterableIterator<FeedEvent | Resync> {
  readonly #deps: FollowDeps;
  readonly #userId: string;
  readonly #ticks: AsyncIterator<void>;
  #position: string | null;
  /** The page that is being handed out, which other followers may hand out as well, and how far we are in it. */
  #page: FeedPage | null = null;
  #handedOut = 0;

  constructor(
    deps: FollowDeps,
    userId: string,
    position: string | null,
    ticks: AsyncIterator<void>,
  ) {
    this.#deps = deps;
    this.#userId = userId;
    this.#position = position;
    this.#ticks = ticks;
  }

  async next(): Promise<IteratorResult<FeedEvent | Resync>> {
    for (;;) {
      const event = this.#page?.events[this.#handedOut];
      if (event !== undefined) {
        this.#handedOut += 1;
        return { done: false, value: event };
      }
      if (this.#page?.hasMore !== true && (await this.#ticks.next()).done) return END;
      const page = await readShared(this.#deps, this.#userId, this.#position);
      this.#handedOut = 0;
      if (page.kind === 'resync') {
        this.#page = null;
        await this.#ticks.return?.();
        return { done: false, value: page };
      }
      this.#page = page;
      this.#position = page.cursor;
    }
  }

  async return(): Promise<IteratorResult<FeedEvent | Resync>> {
    await this.#ticks.return?.();
    return END;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

const sharedReads = new WeakMap<Db, SharedReads<FeedPage | Resync>>();

/** The next page for one of many followers at the same position: they share the read, and the events. */
function readShared(
  deps: FeedDeps,
  userId: string,
  after: string | null,
): Promise<FeedPage | Resync> {
  const reads = sharedReads.get(deps.db) ?? new SharedReads();
  sharedReads.set(deps.db, reads);
  return reads.ask(`${userId} ${after}`, () => readFeed(deps, userId, after, MAX_EVENTS));
}
