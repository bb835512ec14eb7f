// What a device is doing, as one total table.

/** What the app can show of a device. */
export type DeviceState =
  /** Talks to the server. */
  | 'syncing'
  /** Has nothing to do until something changes here or there. */
  | 'live'
  /** The last attempt failed; waits for the next. */
  | 'waiting'
  /** The app asked for silence. */
  | 'paused'
  /** The server takes no token that the app gives (UNAUTHENTICATED), or none for this (FORBIDDEN): the device was revoked. */
  | 'signed-out'
  | 'closed';

/** What may happen to a device. */
export type DeviceEvent = 'work' | 'done' | 'failed' | 'refused' | 'pause' | 'resume' | 'close';

/** The state after an event; an event that means nothing in a state leaves it. */
export const TRANSITIONS: Readonly<
  Record<DeviceState, Readonly<Record<DeviceEvent, DeviceState>>>
> = {
  syncing: {
    work: 'syncing',
    done: 'live',
    failed: 'waiting',
    refused: 'signed-out',
    pause: 'paused',
    resume: 'syncing',
    close: 'closed',
  },
  live: {
    work: 'syncing',
    done: 'live',
    failed: 'waiting',
    refused: 'signed-out',
    pause: 'paused',
    resume: 'live',
    close: 'closed',
  },
  waiting: {
    work: 'syncing',
    done: 'waiting',
    failed: 'waiting',
    refused: 'signed-out',
    pause: 'paused',
    resume: 'syncing',
    close: 'closed',
  },
  paused: {
    work: 'paused',
    done: 'paused',
    failed: 'paused',
    refused: 'paused',
    pause: 'paused',
    resume: 'syncing',
    close: 'closed',
  },
  'signed-out': {
    work: 'signed-out',
    done: 'signed-out',
    failed: 'signed-out',
    refused: 'signed-out',
    pause: 'paused',
    resume: 'syncing',
    close: 'closed',
  },
  closed: {
    work: 'closed',
    done: 'closed',
    failed: 'closed',
    refused: 'closed',
    pause: 'closed',
    resume: 'closed',
    close: 'closed',
  },
};
