// react-native-fs as its 2.20 documents it, over Node's files: base64 across the bridge, no move onto what is there.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import type { ReactNativeFs } from '../../../src/client/storage/react-native-storage.ts';

export interface PhoneFs extends ReactNativeFs {
  /** The next append writes half of its content and fails with this message. */
  tearNext(message: string): void;
}

export function phoneFs(): PhoneFs {
  let failure: string | null = null;
  return {
    tearNext: (message) => {
      failure = message;
    },
    mkdir: async (path) => void (await mkdir(path, { recursive: true })),
    exists: (path) => Promise.resolve(existsSync(path)),
    stat: async (path) => ({ size: (await stat(path)).size }),
    readDir: async (path) => (await readdir(path)).map((name) => ({ name })),
    readFile: (path, encoding) => readFile(path, encoding),
    appendFile: async (path, content, encoding) => {
      const message = failure;
      failure = null;
      const bytes = Buffer.from(content, encoding);
      await appendFile(path, message === null ? bytes : bytes.subarray(0, bytes.length / 2));
      if (message !== null) throw new Error(message);
    },
    hash: async (path, algorithm) =>
      createHash(algorithm)
        .update(await readFile(path))
        .digest('hex'),
    moveFile: async (from, to) => {
      if (existsSync(to)) throw new Error(`${to} is there already`);
      await rename(from, to);
    },
    unlink: async (path) => {
      if (!existsSync(path)) throw new Error(`there is no ${path}`);
      await rm(path, { recursive: true });
    },
  };
}
