import { newRedisClient, PATIENT, type Patience } from './redis-client.ts';
import { openSharedWakeups } from './shared-wakeups.ts';
import type { Wakeups } from './wakeups.ts';

/** One channel for all topics: every process looks at every name, which costs less than following each by itself. */
const CHANNEL = 'attune:wakeups';

/** Opens wakeups that reach every process on the same Redis. A lost connection delays them until it is back.
 *  Failures of the connections reach `onError`; they are made anew by themselves. */
export function openRedisWakeups(
  url: string,
  onError: (error: unknown) => void,
  patience: Patience = PATIENT,
): Promise<Wakeups> {
  return openSharedWakeups(async ({ heard, listening }) => {
    // a command that cannot be sent fails at once: who publishes keeps it
    const publisher = newRedisClient(url, onError, patience, { disableOfflineQueue: true });
    const subscriber = newRedisClient(url, onError, patience);
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
