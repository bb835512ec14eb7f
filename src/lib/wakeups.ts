// Hints that something changed. The tables are the truth: a lost or repeated hint costs a look, never data.

/** Wakes whoever follows a topic. */
export interface Wakeups {
  /** Wakes all followers of the topic. Call it after the commit, or they look too early. */
  wake(topic: string): void;
  /** Ticks at once and after every wake since the last tick; wakes between two ticks become one.
   *  Ends when the signal aborts, on return(), and when the wakeups close. */
  follow(topic: string, signal?: AbortSignal): AsyncIterableIterator<void>;
  /** Ends all followers. */
  close(): Promise<void>;
}

/** A user's adapter feed has grown. */
export const feedTopic = (userId: string): string => `feed:${userId}`;

/** A run of the user was queued, moved on or ended. */
export const runsTopic = (userId: string): string => `runs:${userId}`;

/** A run waits to be handed to the queue. */
export const OUTBOX_TOPIC = 'outbox';

/** A device's tokens are no longer taken. */
export const REVOKED_DEVICES_TOPIC = 'revoked-devices';

/** Wakeups within this process. */
export interface LocalWakeups extends Wakeups {
  /** Wakes every follower: for when hints may have been lost. */
  wakeAll(): void;
}

/** Opens wakeups within this process. */
export function openLocalWakeups(): LocalWakeups {
  const followers = new Map<string, Set<Follower>>();
  const everyone = () => [...followers.values()].flatMap((set) => [...set]);
  let isOpen = true;
  return {
    wake: (topic) => {
      for (const follower of followers.get(topic) ?? []) follower.wake();
    },
    wakeAll: () => {
      for (const follower of everyone()) follower.wake();
    },
    follow: (topic, signal) => {
      const follower = new Follower(() => {
        signal?.removeEventListener('abort', end);
        followers.get(topic)?.delete(follower);
        if (followers.get(topic)?.size === 0) followers.delete(topic);
      });
      const end = () => follower.end();
      if (!isOpen || signal?.aborted) return endedAlready(follower);
      signal?.addEventListener('abort', end, { once: true });
      followers.set(topic, (followers.get(topic) ?? new Set()).add(follower));
      return follower;
    },
    close: () => {
      isOpen = false;
      for (const follower of everyone()) follower.end();
      return Promise.resolve();
    },
  };
}

function endedAlready(follower: Follower): Follower {
  follower.end();
  return follower;
}

const TICK = { done: false, value: undefined } as const;
const END = { done: true, value: undefined } as const;

/** One reader of a topic; at most one tick waits for it. */
class Follower implements AsyncIterableIterator<void> {
  readonly #onEnd: () => void;
  /** The first look is due at once: what happened before following counts as a wake. */
  #isDue = true;
  #hasEnded = false;
  #notify: ((what: IteratorResult<void>) => void) | null = null;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  wake(): void {
    if (this.#notify === null) this.#isDue = true;
    else this.#tell(TICK);
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#onEnd();
    this.#tell(END);
  }

  /** Thousands wait here at a time: no more than a promise each. */
  next(): Promise<IteratorResult<void>> {
    if (this.#hasEnded) return Promise.resolve(END);
    if (!this.#isDue)
      return new Promise((resolve) => {
        this.#notify = resolve;
      });
    this.#isDue = false;
    return Promise.resolve(TICK);
  }

  #tell(what: IteratorResult<void>): void {
    this.#notify?.(what);
    this.#notify = null;
  }

  return(): Promise<IteratorResult<void>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
