// A device's storage on a phone, through the file system module that the app has: written for react-native-fs 2.20, whose
// functions ReactNativeFs lists. Bytes cross its bridge as base64. State is a journal in one file per start: a start reads
// the newest complete one and begins the next, so that no file is ever written over.

import type { Json } from '../../lib/canonical-json.ts';
import { Turns } from '../../lib/turns.ts';
import { applyWrites, entriesWith, journalLine, readJournal } from './journal.ts';
import { type DeviceFiles, type DeviceStorage, QuotaError } from './storage.ts';

/** The part of react-native-fs that is used; its module fits as it is. */
export interface ReactNativeFs {
  mkdir(path: string): Promise<void>;
  exists(path: string): Promise<boolean>;
  stat(path: string): Promise<{ readonly size: number }>;
  readDir(path: string): Promise<readonly { readonly name: string }[]>;
  readFile(path: string, encoding: 'utf8' | 'base64'): Promise<string>;
  appendFile(path: string, content: string, encoding: 'utf8' | 'base64'): Promise<void>;
  hash(path: string, algorithm: 'sha256'): Promise<string>;
  moveFile(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
}

const JOURNAL = /^state-(\d+)\.jsonl$/;
/** The first write of a journal that has everything of the one before it. */
const COMPLETE = 'journal/complete';

/** Folders that are open: a phone's app is one process. */
const open = new Set<string>();

/** Opens the storage in the folder, which is made if it is not there, such as `${DocumentDirectoryPath}/attune`. Throws
 *  when another client of the app has it open. The module cannot force bytes onto the disk: a phone that loses power may
 *  lose the last writes, as every file of the app. */
export async function openReactNativeStorage(
  folder: string,
  fs: ReactNativeFs,
): Promise<DeviceStorage> {
  if (open.has(folder)) throw new Error(`another client has ${folder} open`);
  open.add(folder);
  try {
    await fs.mkdir(`${folder}/files`);
    let { state, path } = await beginJournal(folder, fs);
    const turns = new Turns();
    return {
      get: (key) => Promise.resolve(state.get(key)),
      list: (prefix) => Promise.resolve(entriesWith(state, prefix)),
      write: (writes) =>
        turns.take(async () => {
          await append(fs, path, journalLine(writes), 'utf8');
          applyWrites(state, writes);
        }),
      compact: () =>
        turns.take(async () => {
          ({ state, path } = await beginJournal(folder, fs));
        }),
      files: phoneFiles(`${folder}/files`, fs),
      close: () => turns.take(() => Promise.resolve(void open.delete(folder))),
    };
  } catch (error) {
    open.delete(folder);
    throw error;
  }
}

/** The state of the newest complete journal, in a new one. */
async function beginJournal(
  folder: string,
  fs: ReactNativeFs,
): Promise<{ state: Map<string, Json>; path: string }> {
  const pathOf = (n: number) => `${folder}/state-${n}.jsonl`;
  const names = (await fs.readDir(folder)).map(({ name }) => name);
  const numbers = names
    .flatMap((name) => JOURNAL.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a);
  let state = new Map<string, Json>();
  for (const n of numbers) {
    state = readJournal(await fs.readFile(pathOf(n), 'utf8'));
    if (state.delete(COMPLETE)) break;
    // its start was killed before the first line was whole
    state.clear();
  }
  const path = pathOf((numbers[0] ?? 0) + 1);
  await append(fs, path, journalLine([[COMPLETE, true], ...state]), 'utf8');
  for (const n of numbers) await fs.unlink(pathOf(n));
  return { state, path };
}

function phoneFiles(folder: string, fs: ReactNativeFs): DeviceFiles {
  const pathOf = (name: string) => `${folder}/${name}`;
  const isThere = (name: string) => fs.exists(pathOf(name));
  const remove = async (name: string) => {
    if (await isThere(name)) await fs.unlink(pathOf(name));
  };
  const rename = async (from: string, to: string) => {
    // on iOS the module moves onto nothing that is there
    await remove(to);
    await fs.moveFile(pathOf(from), pathOf(to));
  };
  return {
    // older releases give the size as text
    size: async (name) =>
      (await isThere(name)) ? Number((await fs.stat(pathOf(name))).size) : null,
    append: (name, bytes) => append(fs, pathOf(name), toBase64(bytes), 'base64'),
    read: async (name) => fromBase64(await fs.readFile(pathOf(name), 'base64')),
    sha256: (name) => fs.hash(pathOf(name), 'sha256'),
    // there is no WebCrypto: the module takes hashes of files
    putNamed: async (sha256, bytes) => {
      const part = `${sha256}.part`;
      await remove(part);
      await append(fs, pathOf(part), toBase64(bytes), 'base64');
      const isRight = (await fs.hash(pathOf(part), 'sha256')) === sha256;
      await (isRight ? rename(part, sha256) : remove(part));
      return isRight;
    },
    rename,
    remove,
    list: async () => (await fs.readDir(folder)).map(({ name }) => name),
  };
}

async function append(
  fs: ReactNativeFs,
  path: string,
  content: string,
  encoding: 'utf8' | 'base64',
): Promise<void> {
  try {
    await fs.appendFile(path, content, encoding);
  } catch (cause) {
    const { message = '', code = '' } = cause as { message?: string; code?: string };
    if (/ENOSPC|no space left|NSFileWriteOutOfSpaceError/i.test(`${code} ${message}`)) {
      throw new QuotaError('the phone is full', { cause });
    }
    throw cause;
  }
}

/** Bytes of a piece that becomes one call's arguments. */
const PIECE_BYTES = 8192;

function toBase64(bytes: Uint8Array): string {
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    pieces.push(String.fromCharCode(...bytes.subarray(at, at + PIECE_BYTES)));
  }
  return btoa(pieces.join(''));
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
