// A device's disk in memory, which can lose power at any step: the step happens, happens in part, or does not happen, and
// after it nothing does until the device starts again.

import type { DeviceFiles, DeviceStorage } from '../../../src/client/storage/storage.ts';
import type { Json } from '../../../src/lib/canonical-json.ts';
import { sha256 } from '../../../src/lib/sha256.ts';

/** What every step throws from the crash on. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

/** What outlives a crash. */
export class MemoryDisk {
  readonly state = new Map<string, Json>();
  readonly content = new Map<string, Uint8Array>();
  /** What writes have removed or replaced and nothing has taken off the disk. */
  readonly remains: Json[] = [];

  /** Starts the device; it crashes at the given step from now: `whole` says whether that step still happens. */
  open(crash: { afterSteps: number; whole: boolean } | null = null): DeviceStorage {
    let left = crash?.afterSteps ?? Number.POSITIVE_INFINITY;
    /** Runs a step, of which a crash leaves `part` or all. */
    const step = <T>(whole: () => T, part: () => void = () => undefined): Promise<T> => {
      left -= 1;
      if (left > 0) return Promise.resolve(whole());
      if (left === 0 && crash?.whole) whole();
      else if (left === 0) part();
      return Promise.reject(new Crash());
    };
    return {
      get: (key) => step(() => copy(this.state.get(key))),
      list: (prefix) =>
        step(() =>
          [...this.state]
            .filter(([key]) => key.startsWith(prefix))
            .map(([key, value]) => [key, copy(value)] as const)
            .sort(([a], [b]) => (a < b ? -1 : 1)),
        ),
      write: (writes) =>
        step(() => {
          for (const [key, value] of writes) {
            const former = this.state.get(key);
            if (former !== undefined) this.remains.push(former);
            if (value === undefined) this.state.delete(key);
            else this.state.set(key, copy(value));
          }
        }),
      compact: () => step(() => void this.remains.splice(0)),
      files: this.#files(step),
      close: () => Promise.resolve(),
    };
  }

  #files(step: <T>(whole: () => T, part?: () => void) => Promise<T>): DeviceFiles {
    const { content } = this;
    const read = (name: string) => {
      const bytes = content.get(name);
      if (bytes === undefined) throw new Error(`there is no file ${name}`);
      return bytes;
    };
    const append = (name: string, bytes: Uint8Array) => {
      content.set(name, Buffer.concat([content.get(name) ?? new Uint8Array(0), bytes]));
    };
    return {
      size: (name) => step(() => content.get(name)?.length ?? null),
      append: (name, bytes) =>
        step(
          () => append(name, bytes),
          () => append(name, bytes.subarray(0, bytes.length / 2)),
        ),
      putNamed: (name, bytes) =>
        step(() => {
          if (sha256(bytes) !== name) return false;
          content.set(name, bytes.slice());
          return true;
        }),
      read: (name) => step(() => read(name)),
      sha256: (name) => step(() => sha256(read(name))),
      rename: (from, to) =>
        step(() => {
          content.set(to, read(from));
          content.delete(from);
        }),
      remove: (name) => step(() => void content.delete(name)),
      list: () => step(() => [...content.keys()]),
    };
  }
}

/** What is read is never the object that was written. */
function copy<T extends Json | undefined>(value: T): T {
  return structuredClone(value);
}
