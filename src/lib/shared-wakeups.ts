// Wakeups between processes: each wakes its own followers at once and tells the others over a carrier.
// In: a carrier that may lose messages and connections. Out: Wakeups that are late when it does, and never silent.

import { randomUUID } from 'node:crypto';
import { rest, systemClock } from './clock.ts';
import { openLocalWakeups, type Wakeups } from './wakeups.ts';

/** Between the topics of one message; none has it. */
const SEPARATOR = '\n';
/** Topics in one message: of less than 50 bytes each, and PostgreSQL carries 8,000 bytes at most. */
const MAX_TOPICS = 100;
/** How long to rest after a message could not be sent. */
const RETRY_MS = 1_000;

/** Takes texts to every process that listens, this one too; each at most once. */
export interface Carrier {
  /** Rejects when the text was not taken. */
  publish(text: string): Promise<void>;
  close(): Promise<void>;
}

/** What a carrier tells. */
export interface CarrierEvents {
  heard(text: string): void;
  /** It listens from now on; what was published before, as while the connection was down, may have been missed. */
  listening(): void;
}

/** Opens wakeups over the carrier that `open` makes. Topics that could not be sent are kept, once each, and sent as soon as
 *  they can be; whenever the carrier begins to listen, every follower looks again. */
export async function openSharedWakeups(
  open: (events: CarrierEvents) => Promise<Carrier>,
): Promise<Wakeups> {
  const local = openLocalWakeups();
  const origin = randomUUID();
  const carrier = await open({
    heard: (text) => {
      if (text.startsWith(origin)) return;
      for (const topic of text.slice(origin.length).split(SEPARATOR)) local.wake(topic);
    },
    listening: local.wakeAll,
  });
  const sender = new Sender((topics) => carrier.publish(origin + topics.join(SEPARATOR)));
  return {
    follow: local.follow,
    wake: (topic) => {
      local.wake(topic);
      sender.send(topic);
    },
    close: async () => {
      await local.close();
      await sender.close();
      await carrier.close();
    },
  };
}

/** Sends the topics that wait, as many as there are at a time, until they were taken. */
class Sender {
  readonly #publish: (topics: readonly string[]) => Promise<void>;
  readonly #waiting = new Set<string>();
  readonly #closing = new AbortController();
  #sending: Promise<void> | null = null;

  constructor(publish: (topics: readonly string[]) => Promise<void>) {
    this.#publish = publish;
  }

  send(topic: string): void {
    this.#waiting.add(topic);
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
  }

  /** Whoever misses what was still waiting looks again when it next listens, or at its own next sweep. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#sending;
  }

  async #sendAll(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const topics = [...this.#waiting].slice(0, MAX_TOPICS);
      if (topics.length === 0) return;
      for (const topic of topics) this.#waiting.delete(topic);
      try {
        await this.#publish(topics);
      } catch {
        // the carrier reports its own failures; the topics wait
        for (const topic of topics) this.#waiting.add(topic);
        await rest(systemClock, RETRY_MS, this.#closing.signal);
      }
    }
  }
}
