// react-native-fs as its 2.20 documents it, over Node's files: base64 across the bridge, no move onto what is there.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import type { ReactNativeFs } from '../../../src/client/storage/react-native-storage.ts';

export interface PhoneFs extends ReactNativeFs {
  /** The next append writes half of its content and fails with this message. */
  tearNext(message: string): void;
  /** The app is killed after so many further calls, in the next one: of that a share is done, of an append or of
   *  anything else all (1) or nothing. */
  killAfter(calls: number, share: number): void;
}

export function phoneFs(): PhoneFs {
  let failure: string | null = null;
  let left = Number.POSITIVE_INFINITY;
  let shareDone = 1;
  /** Does the call, all of it or the part that is done when the app is killed. */
  const call = async <T>(whole: () => Promise<T>, part = whole): Promise<T> => {
    left -= 1;
    if (left >= 0) return whole();
    if (left === -1 && shareDone === 1) await whole();
    else if (left === -1 && shareDone > 0 && part !== whole) await part();
    throw new Error('killed');
  };
  const share = (bytes: Buffer, done: number) => bytes.subarray(0, bytes.length * done);
  return {
    tearNext: (message) => {
      failure = message;
    },
    killAfter: (calls, done) => {
      [left, shareDone] = [calls, done];
    },
    mkdir: (path) => call(async () => void (await mkdir(path, { recursive: true }))),
    exists: (path) => call(() => Promise.resolve(existsSync(path))),
    stat: (path) => call(async () => ({ size: (await stat(path)).size })),
    readDir: (path) => call(async () => (await readdir(path)).map((name) => ({ name }))),
    readFile: (path, encoding) => call(() => readFile(path, encoding)),
    appendFile: async (path, content, encoding) => {
      const message = failure;
      failure = null;
      const bytes = Buffer.from(content, encoding);
      await call(
        () => appendFile(path, message === null ? bytes : share(bytes, 0.5)),
        () => appendFile(path, share(bytes, shareDone)),
      );
      if (message !== null) throw new Error(message);
    },
    hash: (path, algorithm) =>
      call(async () =>
        createHash(algorithm)
          .update(await readFile(path))
          .digest('hex'),
      ),
    moveFile: (from, to) =>
      call(async () => {
        if (existsSync(to)) throw new Error(`${to} is there already`);
        await rename(from, to);
      }),
    unlink: (path) =>
      call(async () => {
        if (!existsSync(path)) throw new Error(`there is no ${path}`);
        await rm(path, { recursive: true });
      }),
  };
}
