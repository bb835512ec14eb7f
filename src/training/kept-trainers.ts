// Trainer processes that wait a while for the next run: ratings and mails come in bursts, and most of a short run is its start.

import { type Clock, rest } from '../lib/clock.ts';
import type { Forked } from '../lib/fork-script.ts';

/** An idle trainer holds a gigabyte and more; a burst is over in a minute. */
const IDLE_MS = 60_000;

interface Idle {
  readonly forked: Forked;
  readonly taken: AbortController;
}

/** Keeps idle trainers for a minute each. They end with this process, whatever becomes of it. */
export class KeptTrainers {
  readonly #clock: Clock;
  readonly #idle: Idle[] = [];
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The trainer that became idle last, if there is one that lives. */
  take(): Forked | undefined {
    for (;;) {
      const idle = this.#idle.pop();
      if (idle === undefined) return undefined;
      idle.taken.abort();
      const { child } = idle.forked;
      if (child.connected && child.exitCode === null && child.signalCode === null)
        return idle.forked;
    }
  }

  /** Keeps a trainer that has nothing to do. */
  put(forked: Forked): void {
    if (this.#isClosed) {
      forked.child.kill('SIGKILL');
      return;
    }
    const idle = { forked, taken: new AbortController() };
    this.#idle.push(idle);
    void rest(this.#clock, IDLE_MS, idle.taken.signal).then((isOver) => {
      if (isOver) this.#end(idle);
    });
  }

  /** Ends the idle trainers, and those that become idle later. */
  close(): void {
    this.#isClosed = true;
    for (const idle of [...this.#idle]) this.#end(idle);
  }

  #end(idle: Idle): void {
    const at = this.#idle.indexOf(idle);
    if (at >= 0) this.#idle.splice(at, 1);
    idle.taken.abort();
    idle.forked.child.kill('SIGKILL');
  }
}
