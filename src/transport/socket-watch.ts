// All open sockets, looked over once a second: whose token has ended, whose client has gone without a word.

import type { DeviceRef } from '../changes/revoked-devices.ts';
import { type Clock, rest } from '../lib/clock.ts';
import { CLOSE, endSocket, type SocketState } from './socket-state.ts';

const LOOK_EVERY_MS = 1_000;
/** What a feed has left to say to the devices of an erased user takes less. */
const LAST_WORDS_MS = 2_000;
/** A socket whose client has not answered a ping when the next one is due is gone. */
const PING_EVERY_MS = 30_000;

/** Watches over sockets until it is closed; one timer serves them all. */
export class SocketWatch {
  readonly #clock: Clock;
  readonly #states = new Set<SocketState>();
  readonly #closing = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Watches the socket until it has closed. */
  add(state: SocketState): void {
    state.nextPingAt = this.#clock.now() + PING_EVERY_MS;
    state.socket.on('pong', () => {
      state.isAlive = true;
    });
    state.socket.once('close', () => this.#states.delete(state));
    this.#states.add(state);
  }

  /** Closes the sockets of a device that was revoked. */
  endDevice({ userId, deviceId }: DeviceRef): void {
    for (const state of this.#states) {
      const { session } = state;
      if (session?.viewer.id === userId && session.deviceId === deviceId) {
        endSocket(state, CLOSE.forbidden, 'the device was revoked');
      }
    }
  }

  /** Closes the sockets of a user who was erased, once the revocations have had time to go out on them. */
  endUserSoon(userId: string): void {
    for (const state of this.#states)
      if (state.session?.viewer.id === userId) state.endsAt = this.#clock.now() + LAST_WORDS_MS;
  }

  /** Looks until closed. */
  async run(): Promise<void> {
    while (await rest(this.#clock, LOOK_EVERY_MS, this.#closing.signal)) {
      const now = this.#clock.now();
      for (const state of this.#states) look(state, now);
    }
  }

  close(): void {
    this.#closing.abort();
  }
}

function look(state: SocketState, now: number): void {
  const { socket, session } = state;
  if (session !== null && session.expiresAt <= now) {
    endSocket(state, CLOSE.forbidden, 'the token has expired');
  }
  if (state.endsAt !== null && state.endsAt <= now) {
    endSocket(state, CLOSE.unauthenticated, 'the user was erased');
  }
  if (now < state.nextPingAt) return;
  if (!state.isAlive) socket.terminate();
  state.isAlive = false;
  state.nextPingAt = now + PING_EVERY_MS;
  if (socket.readyState === socket.OPEN) socket.ping();
}
