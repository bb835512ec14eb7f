import { createClient } from 'redis';
import { openSharedWakeups } from './shared-wakeups.ts';
import type { Wakeups } from './wakeups.ts';

/** One channel for all topics: every process looks at every name, which costs less than following each by itself. */
const CHANNEL = 'attune:wakeups';

/** A connection that answers no ping for so long is given up and made anew. */
const PING_MS = 5_000;
const SILENCE_MS = 15_000;

/** Opens wakeups that reach every process on the same Redis. A lost connection delays them until it is back.
 *  Failures of the connections reach `onError`; they are made anew by themselves. */
export function openRedisWakeups(url: string, onError: (error: unknown) => void): Promise<Wakeups> {
  return openSharedWakeups(async ({ heard, listening }) => {
    const options = { url, pingInterval: PING_MS, socket: { socketTimeout: SILENCE_MS } };
    // a command that cannot be sent fails at once: who publishes keeps it
    const publisher = createClient({ ...options, disableOfflineQueue: true });
    const subscriber = createClient(options);
    publisher.on('error', onError);
    subscriber.on('error', onError);
    await Promise.all([publisher.connect(), subscriber.connect()]);
    await subscriber.subscribe(CHANNEL, heard);
    // subscriptions are renewed before a client is ready again
    subscriber.on('ready', listening);
    return {
      publish: async (text) => {
        await publisher.publish(CHANNEL, text);
      },
      close: () => {
        subscriber.destroy();
        publisher.destroy();
        return Promise.resolve();
      },
    };
  });
}
