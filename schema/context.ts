// What every resolver can reach: the viewer, the stages, and batched reads.

import type { AdapterStore } from '../src/adapters/store.ts';
import type { Uploads } from '../src/adapters/uploads.ts';
import type { Answers } from '../src/answers/answers.ts';
import type { PushDeps } from '../src/changes/push-changes.ts';
import type { RevokedDevices } from '../src/changes/revoked-devices.ts';
import type { Db } from '../src/db/database.ts';
import type { StoredFile, UserRow } from '../src/db/schema.ts';
import type { ReportDeps } from '../src/feedback/report-completion.ts';
import type { Clock } from '../src/lib/clock.ts';
import type { Wakeups } from '../src/lib/wakeups.ts';
import type { Base } from '../src/model/base/base-package.ts';
import type { ModeCatalog } from '../src/modes/mode.ts';
import type { PublishUploadDeps } from '../src/runs/publish-upload.ts';
import type { ManifestKeys } from '../src/sync/manifest-keys.ts';
import type { Loaders } from './loaders.ts';

/** The parts of a running server, opened once at the start. */
export interface Services {
  readonly db: Db;
  readonly catalog: ModeCatalog;
  readonly base: Base;
  readonly answers: Answers;
  readonly store: AdapterStore;
  readonly uploads: Uploads;
  /** Where adapters lie until they are in the store. */
  readonly workDir: string;
  /** Measures an adapter on the general probe. */
  readonly probe: PublishUploadDeps['probe'];
  /** By mode, what its devices train with besides the base's files. */
  readonly trainingFiles: ReadonlyMap<string, readonly StoredFile[]>;
  readonly wakeups: Wakeups;
  /** Signs the cursors of the adapter feed. */
  readonly cursorSecret: Uint8Array;
  /** Signs the adapters' manifests. */
  readonly manifestKeys: ManifestKeys;
  readonly revokedDevices: RevokedDevices;
  readonly clock: Clock;
  /** Notes what the delete of a record that is written over will have to find. */
  readonly onOverwrite: PushDeps['onOverwrite'];
  /** Withdraws what was learned from records that are being deleted. */
  readonly onDelete: PushDeps['onDelete'];
  /** Counts as the base's tokenizer does. */
  readonly countTokens: ReportDeps['countTokens'];
}

/** One operation's view of the server. */
export interface Context {
  readonly viewer: UserRow;
  /** The one device that may use the viewer's token; null: any. */
  readonly deviceId: string | null;
  readonly services: Services;
  readonly loaders: Loaders;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Takes tokens off what the viewer's completions may have. Throws RATE_LIMITED. */
  spendTokens(count: number): Promise<void>;
}
