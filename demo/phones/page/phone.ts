// What the parts of a phone's screen share.

import type { AttuneClient } from '../../../src/client/client.ts';
import type { ChangeMessage } from '../../../src/sync/protocol.ts';
import type { Server } from './server-view.ts';

/** Who trains: the mode, and the source that its mails come from. */
export const PLACES = {
  cloud: { mode: 'subject', source: 'mail.sent' },
  device: { mode: 'private', source: 'mail.private' },
} as const;
export type Place = keyof typeof PLACES;

/** One phone while it is on. */
export interface Phone {
  readonly name: string;
  readonly client: AttuneClient;
  readonly server: Server;
  /** The sample mailbox. */
  readonly mailbox: readonly Omit<ChangeMessage, 'kind'>[];
  /** Who learns from this phone's mails. */
  place(): Place;
  setPlace(place: Place): void;
  /** A mail was taken in. */
  onMail(): void;
}

/** A part of the screen. */
export interface Panel {
  readonly element: HTMLElement;
  /** Shows how things are now. */
  show(): Promise<void>;
}
