// What is to go goes soon, whoever died on the way: looked for every half minute, by every server and trainer. The built-in
// database is tidied every hour.

import { removeRevokedBytes } from '../adapters/remove-revoked.ts';
import type { Uploads } from '../adapters/uploads.ts';
import type { Database } from '../db/database.ts';
import { tidyBuiltIn } from '../db/tidy-built-in.ts';
import { finishErasures } from '../erasure/erase-user.ts';
import { removeLeftCopies } from '../erasure/remove-left-copies.ts';
import { rest } from '../lib/clock.ts';
import type { Closable } from './closers.ts';

const LOOK_MS = 30_000;
/** The process's own folder is looked over at the start and then only every so many times: it may be large. */
const LOOKS_PER_FOLDER = 10;
const LOOKS_PER_TIDYING = 120;

/** Begins to look; `onError` is told what failed, which is tried again. */
export function openHousekeeping(
  deps: Parameters<typeof finishErasures>[0] & {
    readonly database: Database;
    readonly uploads: Pick<Uploads, 'users' | 'removeOld'>;
  },
  onError: (error: unknown) => void,
): Closable {
  const closing = new AbortController();
  const work = async () => {
    let look = 0;
    do {
      await finishErasures(deps).catch(onError);
      await removeRevokedBytes(deps).catch(onError);
      if (look % LOOKS_PER_FOLDER === 0) {
        await removeLeftCopies(deps).catch(onError);
        await deps.uploads.removeOld().catch(onError);
      }
      if (look % LOOKS_PER_TIDYING === 0) await tidyBuiltIn(deps.database).catch(onError);
      look += 1;
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
