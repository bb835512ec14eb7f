// A device that is open: what an app does with it, and the loop that keeps it in step with the server.

import type { Clock } from '../lib/clock.ts';
import type { AdapterMessage, ChangeMessage, ReportMessage } from '../sync/protocol.ts';
import {
  type Answer,
  type CompleteHooks,
  type CompleteRequest,
  LocalAnswers,
} from './answers/local-answers.ts';
import type { BaseFiles } from './answers/wanted-base.ts';
import { ApiError } from './api.ts';
import type { ClientOptions } from './client-options.ts';
import { keptFiles } from './sync/adapter-files.ts';
import { backoffMs } from './sync/backoff.ts';
import { Bell } from './sync/bell.ts';
import { type DeviceEvent, type DeviceState, TRANSITIONS } from './sync/device-state.ts';
import type { RejectedChange } from './sync/outbox.ts';
import { disown } from './sync/owner.ts';
import type { RatedAnswer, Rating } from './sync/ratings.ts';
import { removeUnused } from './sync/remove-unused.ts';
import { forgetFailures } from './sync/shelf.ts';
import { syncOnce } from './sync/sync-once.ts';
import type { SyncParts } from './sync/sync-parts.ts';
import { watchFeed } from './sync/watch-feed.ts';
import type { DeviceTraining, TrainHooks, TrainOutcome } from './training/device-training.ts';
import { forget } from './training/forget.ts';
import type { Trained } from './training/trained.ts';

/** Without a WebSocket the device looks for news this often. */
const POLL_MS = 60_000;

/** An installed adapter and its bytes. */
export interface InstalledAdapter extends AdapterMessage {
  /** The content of one of its files, which was checked when it was installed. */
  read(name: string): Promise<Uint8Array>;
}

/** One device. */
export class AttuneClient {
  readonly #parts: SyncParts;
  readonly #options: ClientOptions;
  readonly #clock: Clock;
  readonly #answers: LocalAnswers;
  #training: Promise<DeviceTraining> | null = null;
  readonly #bell = new Bell();
  readonly #running: Promise<void>;
  #state: DeviceState = 'syncing';
  /** Ends what is going on when the device is paused or closed. */
  #activity = new AbortController();
  readonly #closing = new AbortController();

  /** Use openClient. */
  constructor(parts: SyncParts, options: ClientOptions, clock: Clock) {
    this.#parts = parts;
    this.#options = options;
    this.#clock = clock;
    const { engine, limits } = options;
    const onReport = () => this.#bell.ring();
    this.#answers = new LocalAnswers(parts, { engine, limits, onReport });
    this.#running = this.#run();
    // onState has been told what ended it, and close() throws it
    this.#running.catch(() => undefined);
  }

  get state(): DeviceState {
    return this.#state;
  }

  get deviceId(): string {
    return this.#parts.device.deviceId;
  }

  /** Keeps the changes for the server, in order and all or none; they are safe when it resolves. Those of sources that
   *  only devices learn from stay here. */
  async push(changes: readonly ChangeMessage[]): Promise<void> {
    const { modes, outbox, records } = this.#parts;
    const { sent, writes } = records.sort(changes, (await modes.definitions()) ?? []);
    await forget(this.#parts, changes, (besides) => outbox.add(sent, [...writes, ...besides]));
    this.#bell.ring();
  }

  /** How many changes the server has not answered yet. */
  pendingCount(): Promise<number> {
    return this.#parts.outbox.size();
  }

  /** The changes that the server refused for good, until they are dismissed. */
  rejected(): Promise<readonly RejectedChange[]> {
    return this.#parts.outbox.rejected();
  }

  dismissRejected(): Promise<void> {
    return this.#parts.outbox.dismissRejected();
  }

  /** The adapter in use for the mode; null: none. */
  async adapter(mode: string): Promise<InstalledAdapter | null> {
    const installed = (await this.#parts.shelf.read()).slots[mode]?.installed;
    if (!installed) return null;
    const read = async (name: string) => {
      const file = keptFiles(installed.files).find((one) => one.name === name);
      if (file === undefined) throw new Error(`the adapter has no file ${name}`);
      return await this.#parts.storage.files.read(file.sha256);
    };
    return { ...installed, read };
  }

  /** Asks for the server's base model to be downloaded; the base is there when base() says so. */
  async installBase(): Promise<void> {
    type Answer = { viewer: { modes: { base: BaseFiles }[] } };
    const { viewer } = await this.#parts.api.ask<Answer>('Base', {}, this.#activity.signal);
    const base = viewer.modes[0]?.base;
    if (base === undefined) throw new Error('the server has no modes');
    await this.#parts.base.want(base);
    this.#bell.ring();
  }

  /** The base that was asked for, and whether it is there. */
  base() {
    return this.#parts.base.read();
  }

  /** Trains a mode on this device's own records, or goes on where that was stopped. What passes the gate is uploaded when
   *  the server can be reached, and comes back through the feed, here and to the user's other devices. */
  async train(mode: string, hooks: TrainHooks = {}): Promise<TrainOutcome> {
    const { trainer } = this.#options;
    if (trainer === undefined) throw new Error('no trainer was handed in');
    // apps that do not train do not load it
    this.#training ??= import('./training/device-training.ts').then(
      (module) => new module.DeviceTraining(this.#parts, trainer),
    );
    const ends = { device: this.#closing.signal, cloud: this.#activity.signal };
    try {
      return await (await this.#training).train(mode, hooks, ends);
    } finally {
      this.#bell.ring();
    }
  }

  /** What became of the mode's last training on this device; null: there was none. */
  training(mode: string): Promise<Trained | null> {
    return this.#parts.trained.find(mode);
  }

  /** Keeps an answer that the device gave, for the server to know and the user to rate. */
  async reportCompletion(report: Omit<ReportMessage, 'clientId'>): Promise<string> {
    const clientId = crypto.randomUUID();
    await this.#parts.reports.add({ clientId, ...report });
    this.#bell.ring();
    return clientId;
  }

  /** Keeps what the user thought of an answer that complete() gave; a later rating of it takes the place of this one. */
  async rate(answer: RatedAnswer, rating: Rating): Promise<void> {
    await this.#parts.ratings.add(answer, rating);
    this.#bell.ring();
  }

  /** Answers on this device where it can, else in the cloud with the adapter that this device holds, if it holds one.
   *  An answer of the device is reported to the server when it can be reached. */
  complete(request: CompleteRequest, hooks: CompleteHooks = {}): Promise<Answer> {
    const ends = { device: this.#closing.signal, cloud: this.#activity.signal };
    return this.#answers.complete(request, hooks, ends);
  }

  /** Stops talking to the server until resume(); changes are kept meanwhile. */
  pause(): void {
    this.#enter('pause');
    this.#activity.abort(new Error('the client is paused'));
  }

  /** Goes on: after a pause, after signing in again, or at once instead of waiting. */
  async resume(): Promise<void> {
    // who has signed in again has another token
    if (this.#state === 'signed-out') this.#parts.api.forgetToken();
    await this.#parts.shelf.update(forgetFailures);
    this.#answers.forgetFailures();
    this.#enter('resume');
    this.#bell.ring();
  }

  /** Ends all activity; what is kept is found again by the next openClient. Rejects with the bug or the broken disk that
   *  had ended the client before, if one had. */
  async close(): Promise<void> {
    this.#enter('close');
    this.#activity.abort(new Error('the client is closed'));
    this.#closing.abort(new Error('the client is closed'));
    try {
      await this.#running;
    } finally {
      await this.#options.trainer?.close();
      await this.#answers.close();
      await this.#parts.storage.close();
    }
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (this.#state !== 'closed') {
      if (this.#state === 'paused' || this.#state === 'signed-out') {
        // rejects only when the client is closed, which the loop sees
        await this.#bell.rung(this.#closing.signal).catch(() => undefined);
        await removeUnused(this.#parts);
        continue;
      }
      this.#activity = new AbortController();
      const { signal } = this.#activity;
      try {
        await this.#stayInStep(signal, () => {
          failures = 0;
        });
      } catch (error) {
        if (signal.aborted) continue;
        failures += 1;
        await this.#handle(error, failures, signal);
      }
    }
  }

  /** Syncs whenever there is news, until something fails. */
  async #stayInStep(signal: AbortSignal, onSuccess: () => void): Promise<never> {
    const over = new AbortController();
    const ended = AbortSignal.any([signal, over.signal]);
    let broken: { readonly error: unknown } | null = null;
    let watching: Promise<unknown> | null = null;
    try {
      for (;;) {
        if (broken !== null) throw (broken as { readonly error: unknown }).error;
        this.#bell.hush();
        this.#enter('work');
        await syncOnce(this.#parts, ended);
        onSuccess();
        // what happens from now on is behind the cursor that it begins at
        watching ??= this.#watch(ended).catch((error: unknown) => {
          broken = { error };
          this.#bell.ring();
        });
        this.#enter('done');
        this.#options.onChange?.();
        await this.#bell.rung(ended);
      }
    } finally {
      over.abort(new Error('the connection is given up'));
      await watching;
    }
  }

  async #watch(signal: AbortSignal): Promise<never> {
    const { webSocket, random = Math.random } = this.#options;
    const { api, shelf } = this.#parts;
    const onNews = () => this.#bell.ring();
    const cursor = async () => (await shelf.read()).cursor;
    if (webSocket !== null) return watchFeed({ api, webSocket, random, cursor, onNews }, signal);
    for (;;) {
      await this.#clock.sleep(POLL_MS, signal);
      onNews();
    }
  }

  /** Waits for the next attempt, or for the app where waiting does not help. */
  async #handle(error: unknown, failures: number, signal: AbortSignal): Promise<void> {
    // a bug or a broken disk: nothing that another attempt would mend
    if (!(error instanceof ApiError)) {
      this.#enter('close', error instanceof Error ? error : null);
      throw error;
    }
    if (error.reason === 'DEVICE_REVOKED') await disown(this.#parts);
    if (error.code === 'UNAUTHENTICATED' || error.code === 'FORBIDDEN') {
      this.#enter('refused', error);
      return;
    }
    this.#enter('failed', error);
    const random = this.#options.random ?? Math.random;
    const ms = backoffMs(failures, error.retryAfterMs, random);
    const early = new AbortController();
    const ended = AbortSignal.any([signal, early.signal]);
    const over = [this.#clock.sleep(ms, ended), this.#resumed(ended)];
    // they reject only when the client is paused or closed, which the loop sees
    await Promise.race(over.map((one) => one.catch(() => undefined)));
    early.abort();
    await Promise.allSettled(over);
  }

  /** Resolves when resume() ends the waiting; a new change does not. */
  async #resumed(signal: AbortSignal): Promise<void> {
    while (this.#state === 'waiting') {
      await this.#bell.rung(signal);
      await removeUnused(this.#parts);
    }
  }

  #enter(event: DeviceEvent, error: Error | null = null): void {
    const before = this.#state;
    this.#state = TRANSITIONS[before][event];
    if (this.#state !== before) this.#options.onState?.(this.#state, error);
  }
}
