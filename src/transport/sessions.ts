// Who asks: found out once, then believed for a moment, so that a phone which asks ten things at once is looked up once.

import type { Clock } from '../lib/clock.ts';

/** How long a session is believed: a key that was withdrawn meanwhile is noticed after it. */
const BELIEVED_MS = 30_000;
/** So many sessions are kept. */
const MAX_SESSIONS = 5_000;

/** Sessions by the credentials that they were opened with. */
export class Sessions<Session extends { readonly expiresAt: number }> {
  readonly #clock: Clock;
  readonly #known = new Map<string, { readonly session: Session; readonly until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The session, unless it is too old. */
  find(authorization: string): Session | undefined {
    const known = this.#known.get(authorization);
    if (known === undefined || known.until > this.#clock.now()) return known?.session;
    this.#known.delete(authorization);
    return undefined;
  }

  keep(authorization: string, session: Session): void {
    const [oldest] = this.#known.keys();
    if (this.#known.size >= MAX_SESSIONS && oldest !== undefined) this.#known.delete(oldest);
    const until = Math.min(session.expiresAt, this.#clock.now() + BELIEVED_MS);
    this.#known.set(authorization, { session, until });
  }

  /** Looks everybody up anew. */
  clear(): void {
    this.#known.clear();
  }
}
