// A user's adapter feed, followed. The table is the truth; wakeups only say when to look again. Thousands of these wait on one
// server, so each is one object and keeps no more than its place.

import DataLoader from 'dataloader';
import { feedTopic, type Wakeups } from '../lib/wakeups.ts';
import {
  type FeedDeps,
  type FeedEvent,
  type FeedPage,
  type FeedPlace,
  MAX_EVENTS,
  type Resync,
  readFeeds,
} from './feed.ts';

/** What following the feed needs. */
export interface FollowDeps extends FeedDeps {
  readonly wakeups: Wakeups;
}

/** Places in one statement: few enough that the first phones hear while the others' events are still read. */
const MAX_PLACES = 25;

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
      const page = await readShared(this.#deps, { userId: this.#userId, after: this.#position });
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

type Reads = DataLoader<FeedPlace, FeedPage | Resync, string>;

const reads = new WeakMap<FeedDeps, Reads>();

/** The next page for one of many followers. Those at the same place share it, and its events; those of other users share the
 *  statement. It begins only after all who share it have asked, so it sees all that one of their own would have seen. */
function readShared(deps: FeedDeps, place: FeedPlace): Promise<FeedPage | Resync> {
  const loader = reads.get(deps) ?? createReads(deps);
  reads.set(deps, loader);
  return loader.load(place);
}

function createReads(deps: FeedDeps): Reads {
  const loader: Reads = new DataLoader(
    (places) => {
      // who asks from now on may have heard of more
      for (const place of places) loader.clear(place);
      return readFeeds(deps, places, MAX_EVENTS);
    },
    {
      cacheKeyFn: ({ userId, after }) => `${userId} ${after}`,
      batchScheduleFn: (read) => void setImmediate(read),
      maxBatchSize: MAX_PLACES,
    },
  );
  return loader;
}
