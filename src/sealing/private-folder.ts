// The one place where files that may be sealed are read and written: adapters, and what trainers leave between two steps.
// A folder without a seal is plain, such as an adapter that ships with a mode.

import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { writeFileAtomically } from '../lib/atomic-file.ts';
import { nullIfMissing } from '../lib/null-if-missing.ts';
import { sha256 } from '../lib/sha256.ts';
import { UnsealError } from './seal.ts';
import {
  type FileKey,
  generationOf,
  openFile,
  openSealedReader,
  type Range,
  sealFile,
} from './sealed-file.ts';

/** How the files of a folder are sealed. Plain data: it goes along to the processes that read them. */
export interface FolderSeal {
  /** What the folder is; its files open under no other name. */
  readonly place: string;
  /** The newest first: it seals; the others open what they sealed. */
  readonly keys: readonly FileKey[];
}

/** A folder and how its files are sealed; no seal: they are plain. */
export interface PrivateFolder {
  readonly dir: string;
  readonly seal?: FolderSeal | undefined;
}

/** A path alone is a plain folder. */
export type Folder = string | PrivateFolder;

/** A file that is open for reading; close it. */
export interface OpenFile {
  /** Length of the text. */
  readonly plainBytes: number;
  /** The text from `start` up to `end`, which is left out. Throws UnsealError as soon as it is not what was sealed. */
  read(range: Range): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

/** Where the folder is. */
export function dirOf(folder: Folder): string {
  return typeof folder === 'string' ? folder : folder.dir;
}

/** The text of a file of the folder. Throws UnsealError when it is not what was sealed. */
export async function readFileIn(folder: Folder, name: string): Promise<Buffer> {
  const bytes = await readFile(join(dirOf(folder), name));
  const seal = sealOf(folder);
  if (seal === undefined) return bytes;
  return openFile(keyFrom(seal)(generationOf(bytes)), placeOf(seal, name), bytes);
}

/** For the `catch` of reading a file: null when there is none, or none that opens; any other error thrown on. */
export function nullIfUnread(error: NodeJS.ErrnoException): null {
  return error instanceof UnsealError ? null : nullIfMissing(error);
}

/** The bytes that a file of this name and text has on the disk. */
export function bytesFor(folder: Folder, name: string, text: Uint8Array): Uint8Array {
  const seal = sealOf(folder);
  if (seal === undefined) return text;
  const [newest] = seal.keys;
  if (newest === undefined) throw new Error('must hold: a seal has a key');
  return sealFile(newest, placeOf(seal, name), text);
}

/** Writes a file of the folder, which must be there. */
export function writeFileIn(folder: Folder, name: string, text: Uint8Array): Promise<void> {
  return writeFile(join(dirOf(folder), name), bytesFor(folder, name, text));
}

/** Seals a file anew with the newest key, in one step; leaves alone what is sealed with it. */
export async function resealFileIn(folder: Folder, name: string): Promise<void> {
  const path = join(dirOf(folder), name);
  const newest = sealOf(folder)?.keys[0];
  if (newest === undefined || generationOf(await readFile(path)) === newest.generation) return;
  await writeFileAtomically(path, bytesFor(folder, name, await readFileIn(folder, name)));
}

/** Opens a file of the folder for reading parts of it. Throws UnsealError on what is no sealed file of this folder. */
export async function openFileIn(folder: Folder, name: string): Promise<OpenFile> {
  const file = await open(join(dirOf(folder), name));
  const seal = sealOf(folder);
  try {
    if (seal === undefined) {
      const { size } = await file.stat();
      const read = ({ start, end }: Range) =>
        end > start
          ? file.createReadStream({ start, end: end - 1, autoClose: false })
          : Readable.from([]);
      return { plainBytes: size, read, close: () => file.close() };
    }
    const reader = await openSealedReader(file, placeOf(seal, name), keyFrom(seal));
    return { ...reader, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Lower-case hex SHA-256 and length of a file's text, which is read whole: a stream of ten megabytes takes ten times as long.
 *  Throws UnsealError. */
export async function describeFileIn(
  folder: Folder,
  name: string,
): Promise<{ readonly sizeBytes: number; readonly sha256: string }> {
  const text = await readFileIn(folder, name);
  return { sizeBytes: text.length, sha256: sha256(text) };
}

function sealOf(folder: Folder): FolderSeal | undefined {
  return typeof folder === 'string' ? undefined : folder.seal;
}

function placeOf({ place }: FolderSeal, name: string): string {
  return `${place} ${name}`;
}

function keyFrom({ keys }: FolderSeal): (generation: number) => Uint8Array {
  return (generation) => {
    const found = keys.find((one) => one.generation === generation);
    if (found === undefined) throw new UnsealError(`data key ${generation} is not there any more`);
    return found.key;
  };
}
