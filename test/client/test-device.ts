// A device of the SDK against an oracle server, on a disk that can lose power.

import { verifyByWebCrypto } from '../../src/client/sync/check-manifest.ts';
import { EMPTY_SHELF, type Shelf } from '../../src/client/sync/shelf.ts';
import { syncOnce } from '../../src/client/sync/sync-once.ts';
import { createSyncParts } from '../../src/client/sync/sync-parts.ts';
import type { Clock } from '../../src/lib/clock.ts';
import type { OracleServer } from './oracle/oracle-server.ts';
import { Crash, MemoryDisk } from './storage/memory-disk.ts';

/** A clock on which nothing is ever late. */
export const endlessClock: Clock = {
  now: () => 0,
  sleep: (_ms, signal) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
    }),
};

/** A change that names itself. */
export function changeNamed(recordId: string, source = 'notes') {
  return {
    source,
    recordId,
    kind: 'UPSERT' as const,
    data: { text: recordId },
    occurredAt: '2026-01-01T00:00:00.000Z',
  };
}

export class TestDevice {
  readonly id: string;
  readonly disk = new MemoryDisk();
  /** The device's own time, in ms. */
  now = 0;
  readonly #server: OracleServer;
  #life: ReturnType<TestDevice['start']>;

  constructor(server: OracleServer, id: string) {
    this.#server = server;
    this.id = id;
    this.#life = this.start(null);
  }

  /** Starts the device anew, to crash at a step if it is told so. */
  start(crash: { afterSteps: number; whole: boolean } | null) {
    const storage = this.disk.open(crash);
    const { fetch } = this.#server;
    const token = () => Promise.resolve(this.id);
    const clock = { ...endlessClock, now: () => this.now };
    const access = { url: 'http://oracle', fetch, token, clock };
    const device = { deviceId: this.id, name: this.id, platform: 'test' };
    const parts = createSyncParts(device, storage, access, { verify: verifyByWebCrypto });
    this.#life = parts;
    return parts;
  }

  get parts() {
    return this.#life;
  }

  /** Runs the task; a crash in it restarts the device. Returns how it ended. */
  async survive(task: () => Promise<void>): Promise<'done' | 'failed' | 'crashed'> {
    try {
      await task();
      return 'done';
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      if (error instanceof Crash) {
        this.start(null);
        return 'crashed';
      }
      if (error.name !== 'ApiError') throw error;
      return 'failed';
    }
  }

  sync() {
    return this.survive(() => syncOnce(this.#life, new AbortController().signal));
  }

  /** What is on the disk, without another step. */
  get shelf(): Shelf {
    return (this.disk.state.get('shelf') as unknown as Shelf | undefined) ?? EMPTY_SHELF;
  }

  /** The names of the records of a source that it keeps. */
  kept(source: string): readonly string[] {
    const keys = [...this.disk.state.keys()].filter((key) => key.startsWith(`record/${source}/`));
    return keys.map((key) => key.slice('record/'.length));
  }

  /** Installed adapters by mode. */
  get installed(): Record<string, string> {
    const entries = Object.entries(this.shelf.slots);
    return Object.fromEntries(
      entries.flatMap(([mode, { installed }]) => (installed ? [[mode, installed.id]] : [])),
    );
  }

  /** Nothing is left of the device but its name. */
  wipe(): void {
    this.disk.state.clear();
    this.disk.content.clear();
    this.disk.remains.length = 0;
    this.start(null);
  }
}
