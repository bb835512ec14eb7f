import type { Clock } from '../lib/clock.ts';
import type { PublicKey } from '../sync/protocol-manifest.ts';
import type { DeviceEngine } from './answers/device-engine.ts';
import type { DeviceLimits } from './answers/local-answers.ts';
import type { DeviceStorage } from './storage/storage.ts';
import type { VerifySignature } from './sync/check-manifest.ts';
import type { DeviceState } from './sync/device-state.ts';
import type { OnProgress } from './sync/download.ts';
import type { DeviceTrainer } from './training/device-trainer.ts';

/** What a client is made of. */
export interface ClientOptions {
  /** The server's address, without a slash at the end. */
  readonly url: string;
  /** Gives a valid token; `refused` is the one that the server did not take. */
  token(refused: string | null): Promise<string>;
  readonly storage: DeviceStorage;
  /** How the device is shown to its user. */
  readonly name: string;
  readonly platform: string;
  /** The device's own name among the user's; made up at the first start when left out. */
  readonly deviceId?: string;
  /** The platform's own when left out. */
  readonly fetch?: typeof fetch;
  /** The class to open sockets with; null: look for news every minute instead. */
  readonly webSocket: unknown;
  /** The only keys whose manifests count; left out: those that the server shows. */
  readonly trustedKeys?: readonly PublicKey[];
  /** The platform's check of Ed25519 signatures, where it is not WebCrypto's. */
  readonly verify?: VerifySignature;
  /** Runs the base on this device; left out: the cloud answers everything. */
  readonly engine?: DeviceEngine;
  /** Trains on this device; left out: it does not. */
  readonly trainer?: DeviceTrainer;
  /** When not to answer on the device. */
  readonly limits?: DeviceLimits;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Called with every new state; `error` is why it waits or is signed out. */
  onState?(state: DeviceState, error: Error | null): void;
  /** Called when something was installed, removed or answered. */
  onChange?(): void;
  onProgress?: OnProgress;
}
