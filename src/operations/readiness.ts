// Whether a server can do its work, found out by doing a little of each part of it.

import type { Db } from '../db/database.ts';
import type { Engine } from '../inference/engine-client.ts';
import type { Clock } from '../lib/clock.ts';

/** A part of a server that must work, and a round trip through it; rejects when it does not. */
export type Checks = Readonly<Record<string, (signal: AbortSignal) => Promise<void>>>;

/** What came of the checks. */
export interface Readiness {
  readonly isReady: boolean;
  readonly checks: Readonly<Record<string, { readonly ok: boolean; readonly ms: number }>>;
}

/** No part takes longer when it works. */
const LIMIT_MS = 5_000;

/** Runs all checks at once; whoever asks while they run shares their outcome, so asking often costs nothing. */
export function openReadiness(
  checks: Checks,
  clock: Clock,
  onFailure: (part: string, error: unknown) => void,
): () => Promise<Readiness> {
  let running: Promise<Readiness> | null = null;
  const run = async () => {
    const parts = await Promise.all(
      Object.entries(checks).map(async ([part, check]) => {
        const startedAt = performance.now();
        const ok = await within(check, clock).then(
          () => true,
          (error) => {
            onFailure(part, error);
            return false;
          },
        );
        return [part, { ok, ms: Math.round(performance.now() - startedAt) }] as const;
      }),
    );
    return { isReady: parts.every(([, { ok }]) => ok), checks: Object.fromEntries(parts) };
  };
  return () => {
    running ??= run().finally(() => {
      running = null;
    });
    return running;
  };
}

async function within(check: (signal: AbortSignal) => Promise<void>, clock: Clock): Promise<void> {
  const end = new AbortController();
  const late = clock.sleep(LIMIT_MS, end.signal).then(() => {
    throw new Error(`took longer than ${LIMIT_MS} ms`);
  });
  try {
    await Promise.race([check(end.signal), late]);
  } finally {
    end.abort();
    late.catch(() => undefined);
  }
}

/** Writes to the database and reads it back. */
export async function checkDatabase(db: Db, now: number): Promise<void> {
  const value = String(now);
  const { value: read } = await db
    .insertInto('facts')
    .values({ key: 'ready', value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .returning('value')
    .executeTakeFirstOrThrow();
  if (read !== value) throw new Error(`wrote ${value} and read ${read}`);
}

/** Has the engine write one token. */
export async function checkEngine(
  engine: Engine,
  promptIds: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  const request = {
    ...{ promptIds, adapter: null, maxTokens: 1, temperature: 0, topP: 1, seed: null },
    ...{ stop: [], userId: 'readiness' },
  };
  for await (const event of engine.generate(request, signal)) {
    if (event.kind === 'done' && event.completionTokens > 0) return;
  }
  throw new Error('the engine wrote no token');
}
