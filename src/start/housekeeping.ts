// What is to go goes soon, whoever died on the way: looked for every half minute, by every server.

import { removeRevokedBytes } from '../adapters/remove-revoked.ts';
import { finishErasures } from '../erasure/erase-user.ts';
import { rest } from '../lib/clock.ts';
import type { Closable } from './closers.ts';

const LOOK_MS = 30_000;

/** Begins to look; `onError` is told what failed, which is tried again. */
export function openHousekeeping(
  deps: Parameters<typeof finishErasures>[0],
  onError: (error: unknown) => void,
): Closable {
  const closing = new AbortController();
  const work = async () => {
    do {
      await finishErasures(deps).catch(onError);
      await removeRevokedBytes(deps).catch(onError);
    } while (await rest(deps.clock, LOOK_MS, closing.signal));
  };
  const working = work();
  return {
    close: () => {
      closing.abort();
      return working;
    },
  };
}
