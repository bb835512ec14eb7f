// The devices that may no longer ask, and the users who were erased. The table is the truth; a wakeup says when to look, and so does the time, since the
// server that revoked may die before it tells the others.

import type { Db } from '../db/database.ts';
import type { RevokedDeviceRow } from '../db/schema.ts';
import { type Clock, rest } from '../lib/clock.ts';
import { AppError } from '../lib/errors.ts';
import { shown } from '../lib/shown.ts';
import { REVOKED_DEVICES_TOPIC, type Wakeups } from '../lib/wakeups.ts';

/** How often to look without having been told. */
const LOOK_MS = 30_000;
/** How long to rest after the table could not be read. */
const RETRY_MS = 1_000;
/** Whatever was believed of a user who was erased longer ago is believed no more. */
const ERASED_LATELY_MS = 10 * 60_000;
/** Fewer transactions than this revoke at the same time, and commit in another order than they were numbered in. */
const OVERLAP = 100;

/** A device of a user. */
export interface DeviceRef {
  readonly userId: string;
  readonly deviceId: string;
}

/** The devices that may no longer ask, and the news of them. */
export interface RevokedDevices {
  /** Refuses the device from now on: once it resolves, this server's listeners know, and others are being told. Safe to
   *  repeat. */
  revoke(device: DeviceRef): Promise<RevokedDeviceRow>;
  /** Whether the device may no longer ask. */
  has(device: DeviceRef): Promise<boolean>;
  /** Calls the listener for every device that is revoked from now on, once or more. */
  onRevoked(listener: (device: DeviceRef) => void): void;
  /** Tells this server's listeners of users who have been erased, and wakes the other servers. */
  tellErased(): Promise<void>;
  /** Calls the listener for every user who is erased from now on, once or more. */
  onErased(listener: (userId: string) => void): void;
  /** Looks, again where a device was revoked or a user erased meanwhile: what `look` found still holds when this resolves, and what it
   *  wrote down in its last step the next news will meet. */
  steadily(look: () => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

/** What following the news needs. */
export interface RevokedDeps {
  readonly db: Db;
  readonly wakeups: Wakeups;
  readonly clock: Clock;
  /** Told when the table cannot be read; it is read again. */
  readonly onError: (error: unknown) => void;
}

/** Follows the table until closed. */
export async function openRevokedDevices(deps: RevokedDeps): Promise<RevokedDevices> {
  const news = new News(deps);
  await news.skip();
  const closing = new AbortController();
  const following = [follow(deps, news, closing.signal), lookOften(deps, news, closing.signal)];
  return {
    async revoke(device) {
      const row = await insert(deps, device);
      await news.read();
      deps.wakeups.wake(REVOKED_DEVICES_TOPIC);
      return row;
    },
    async tellErased() {
      await news.read();
      deps.wakeups.wake(REVOKED_DEVICES_TOPIC);
    },
    onErased: (listener) => news.onErased.push(listener),
    has: ({ userId, deviceId }) => isRevoked(deps.db, userId, deviceId),
    onRevoked: (listener) => news.listeners.push(listener),
    async steadily(look) {
      for (let before = -1; before !== news.count; ) {
        before = news.count;
        await look();
      }
    },
    async close() {
      closing.abort();
      await Promise.all(following);
    },
  };
}

/** Whether the user's device of that name may no longer ask. */
export async function isRevoked(db: Db, userId: string, deviceId: string): Promise<boolean> {
  const found = await db
    .selectFrom('revokedDevices')
    .select('seq')
    .where('userId', '=', userId)
    .where('deviceId', '=', deviceId)
    .executeTakeFirst();
  return found !== undefined;
}

/** The user's revoked devices, by name. */
export function listRevokedDevices(db: Db, userId: string): Promise<RevokedDeviceRow[]> {
  return db
    .selectFrom('revokedDevices')
    .selectAll()
    .where('userId', '=', userId)
    .orderBy('deviceId')
    .execute();
}

/** The error for whoever asks in the name of a revoked device. */
export function revoked(deviceId: string): AppError {
  const remedy = 'Sign in anew and register under another deviceId';
  const message = `The device ${shown(deviceId)} was revoked. ${remedy}.`;
  return new AppError('FORBIDDEN', message, { reason: 'DEVICE_REVOKED' });
}

async function insert({ db, clock }: RevokedDeps, device: DeviceRef): Promise<RevokedDeviceRow> {
  return await db
    .insertInto('revokedDevices')
    .values({ ...device, revokedAt: new Date(clock.now()) })
    // the first time stays
    .onConflict((conflict) =>
      conflict
        .columns(['userId', 'deviceId'])
        .doUpdateSet((eb) => ({ revokedAt: eb.ref('revokedDevices.revokedAt') })),
    )
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** What the table has that the listeners have not heard of. */
class News {
  readonly listeners: ((device: DeviceRef) => void)[] = [];
  readonly onErased: ((userId: string) => void)[] = [];
  /** How many devices and users the listeners have heard of. */
  count = 0;
  readonly #db: Db;
  readonly #clock: Clock;
  #erased: readonly string[] = [];
  /** The newest rows that were told; older ones are below all that can still come. */
  #told: readonly number[] = [];

  constructor({ db, clock }: Pick<RevokedDeps, 'db' | 'clock'>) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Counts what is there already as told: nobody has asked yet. */
  async skip(): Promise<void> {
    this.#told = (await this.#rows()).map(({ seq }) => seq);
    this.#erased = await this.#erasedLately();
  }

  async read(): Promise<void> {
    const rows = await this.#rows();
    const fresh = rows.filter(({ seq }) => !this.#told.includes(seq));
    this.#told = [...this.#told, ...fresh.map(({ seq }) => seq)].sort((a, b) => a - b);
    this.#told = this.#told.slice(-2 * OVERLAP);
    this.count += fresh.length;
    for (const row of fresh) for (const listener of this.listeners) listener(row);
    await this.#readErased();
  }

  async #readErased(): Promise<void> {
    const erased = await this.#erasedLately();
    const fresh = erased.filter((id) => !this.#erased.includes(id));
    this.#erased = erased;
    this.count += fresh.length;
    for (const id of fresh) for (const listener of this.onErased) listener(id);
  }

  async #erasedLately(): Promise<readonly string[]> {
    const users = await this.#db
      .selectFrom('users')
      .select('id')
      .where('erasedAt', '>', new Date(this.#clock.now() - ERASED_LATELY_MS))
      .execute();
    return users.map(({ id }) => id);
  }

  #rows(): Promise<RevokedDeviceRow[]> {
    const newest = this.#told.at(-1);
    const rows = this.#db.selectFrom('revokedDevices').selectAll().orderBy('seq', 'desc');
    return newest === undefined
      ? rows.limit(OVERLAP).execute()
      : rows.where('seq', '>', newest - OVERLAP).execute();
  }
}

async function follow({ wakeups, clock, onError }: RevokedDeps, news: News, signal: AbortSignal) {
  for await (const _ of wakeups.follow(REVOKED_DEVICES_TOPIC, signal)) {
    while (!(await reads(news, onError)) && (await rest(clock, RETRY_MS, signal)));
  }
}

async function lookOften({ clock, onError }: RevokedDeps, news: News, signal: AbortSignal) {
  while (await rest(clock, LOOK_MS, signal)) await reads(news, onError);
}

/** False when the table could not be read. */
async function reads(news: News, onError: (error: unknown) => void): Promise<boolean> {
  try {
    await news.read();
    return true;
  } catch (error) {
    onError(error);
    return false;
  }
}
