// What a device and the server say to each other, as JSON carries it. The rules are in docs/protocol.md.
// Comes from nowhere, knows nothing of either side: shared by the device SDK and by whoever plays the server.

import type { Json } from '../lib/canonical-json.ts';

/** Most changes in one push. */
export const MAX_PUSH_CHANGES = 1000;

/** A change without its number, which the outbox gives it. */
export interface ChangeMessage {
  readonly source: string;
  readonly recordId: string;
  readonly kind: 'UPSERT' | 'DELETE';
  /** The record's new state; left out for a delete. */
  readonly data?: Json;
  /** ISO 8601. */
  readonly occurredAt: string;
}

/** The answer to a push. */
export type PushAnswer =
  | {
      readonly __typename: 'PushAccepted';
      readonly lastMutationId: number;
      readonly results: readonly ChangeAnswer[];
    }
  | { readonly __typename: 'PushGap'; readonly expectedMutationId: number };

/** What became of one change. */
export interface ChangeAnswer {
  readonly mutationId: number;
  readonly outcome: 'APPLIED' | 'DUPLICATE' | 'REJECTED';
  /** CONFLICT: the number was used for another payload. */
  readonly reason: string | null;
  readonly changeSeq: number | null;
}

/** A file to download, named by its bytes. */
export interface FileMessage {
  readonly name: string;
  /** Relative to the server. */
  readonly url: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** An adapter that a device may install. */
export interface AdapterMessage {
  readonly id: string;
  readonly version: number;
  /** SHIPPED: everyone's, numbered by itself, in use where the user has none of the mode; the feed does not speak of it. */
  readonly origin: 'SERVER' | 'DEVICE' | 'SHIPPED' | 'ROLLBACK';
  readonly sha256: string;
  readonly mode: { readonly key: string };
  readonly base: { readonly sha256: string };
  readonly files: readonly FileMessage[];
}

/** One step of the feed. */
export type FeedStep =
  | {
      readonly __typename: 'AdapterReady';
      readonly cursor: string;
      readonly adapter: AdapterMessage;
    }
  | {
      readonly __typename: 'AdapterRevoked';
      readonly cursor: string;
      readonly adapterId: string;
      readonly modeKey: string;
      readonly reason: string;
    };

/** The cursor leads nowhere: begin from null. */
export interface ResyncSignal {
  readonly __typename: 'ResyncRequired';
  readonly code: string;
  readonly reason: string;
}

/** Some steps of the feed, and where to go on. */
export type FeedAnswer =
  | {
      readonly __typename: 'AdapterFeedPage';
      readonly events: readonly FeedStep[];
      readonly cursor: string;
      readonly hasMore: boolean;
      /** feedChecksum of what the device ought to hold now; null: not at the end, or nobody knows. */
      readonly checksum: string | null;
    }
  | ResyncSignal;

/** A device's word on an adapter. */
export interface Acknowledgement {
  readonly adapterId: string;
  readonly state: 'INSTALLED' | 'REMOVED' | 'FAILED';
  /** What went wrong, when it FAILED. */
  readonly detail: string | null;
}

/** What the user thought of an answer, by the server's names. */
export interface RatingMessage {
  readonly completionId: string;
  readonly verdict?: 'UP' | 'DOWN';
  readonly better?: string;
  readonly preferredCompletionId?: string;
}

/** An answer that a device gave by itself. */
export interface ReportMessage {
  /** The device's own name of the answer. */
  readonly clientId: string;
  readonly mode: string;
  readonly input: Json;
  readonly text: string;
  /** What answered; null: the bare base. */
  readonly adapterId: string | null;
}
