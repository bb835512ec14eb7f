// A device's storage on a phone, through the file system module that the app has: written for react-native-fs 2.20, whose
// functions ReactNativeFs lists. Bytes cross its bridge as base64. State is a journal in a file with a number: what takes
// its place is the next file, which counts once it is complete, so that no file is ever written over.

import type { Json } from '../../lib/canonical-json.ts';
import { type Journal, journalLine, journalStorage, readJournal } from './journal.ts';
import { type DeviceFiles, type DeviceStorage, QuotaError, type Write } from './storage.ts';

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
    const { journal, state } = await openJournal(folder, fs);
    return { ...journalStorage(journal, state), files: phoneFiles(`${folder}/files`, fs) };
  } catch (error) {
    open.delete(folder);
    throw error;
  }
}

/** The newest complete journal, and its state; a first one where there is none. */
async function openJournal(
  folder: string,
  fs: ReactNativeFs,
): Promise<{ readonly journal: Journal; readonly state: Map<string, Json> }> {
  const journal = new PhoneJournal(folder, fs);
  for (const n of await journal.numbers()) {
    const state = readJournal(await fs.readFile(journal.pathOf(n), 'utf8'));
    // without it, the app was killed before the first line was whole
    if (!state.delete(COMPLETE)) continue;
    journal.n = n;
    return { journal, state };
  }
  await journal.replace([]);
  return { journal, state: new Map() };
}

class PhoneJournal implements Journal {
  /** The file's number. */
  n = 0;
  readonly #folder: string;
  readonly #fs: ReactNativeFs;

  constructor(folder: string, fs: ReactNativeFs) {
    this.#folder = folder;
    this.#fs = fs;
  }

  pathOf(n: number): string {
    return `${this.#folder}/state-${n}.jsonl`;
  }

  /** Of all journals that are there, highest first. */
  async numbers(): Promise<readonly number[]> {
    const names = (await this.#fs.readDir(this.#folder)).map(({ name }) => name);
    const numbers = names.flatMap((name) => JOURNAL.exec(name)?.[1] ?? []).map(Number);
    return numbers.sort((a, b) => b - a);
  }

  append(line: string): Promise<void> {
    return append(this.#fs, this.pathOf(this.n), line, 'utf8');
  }

  async replace(writes: readonly Write[]): Promise<void> {
    const former = await this.numbers();
    const next = (former[0] ?? 0) + 1;
    const path = this.pathOf(next);
    try {
      await append(this.#fs, path, journalLine([[COMPLETE, true], ...writes]), 'utf8');
    } catch (error) {
      // whole after all, it would count in place of the one that goes on
      if (await this.#fs.exists(path)) await this.#fs.unlink(path);
      throw error;
    }
    this.n = next;
    for (const n of former) await this.#fs.unlink(this.pathOf(n));
  }

  close(): Promise<void> {
    return Promise.resolve(void open.delete(this.#folder));
  }
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
