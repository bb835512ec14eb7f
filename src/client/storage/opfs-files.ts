// A device's files in a browser's origin-private file system (OPFS), which keeps large ones outside of the database. A file
// that grows is a folder of pieces, since the file system would copy a file whole for each change of it; renaming joins
// them into one file, which counts from when it has a mark.

import { bytesSha256 } from './bytes-sha256.ts';
import { type DeviceFiles, QuotaError } from './storage.ts';

/** A file of OPFS. */
interface FileHandle {
  getFile(): Promise<Blob>;
  /** What is written counts from when the stream is closed. */
  createWritable(): Promise<WritableStream<Blob>>;
}

/** A folder of OPFS, as the File System Standard has it. */
export interface FolderHandle {
  getFileHandle(name: string, options?: { create: boolean }): Promise<FileHandle>;
  getDirectoryHandle(name: string, options?: { create: boolean }): Promise<FolderHandle>;
  removeEntry(name: string, options?: { recursive: boolean }): Promise<void>;
  keys(): AsyncIterableIterator<string>;
}

/** Digits of a piece's place, so that names sort as numbers do. */
const PLACE_DIGITS = 12;
const PIECES = 'pieces';
const WHOLE = 'whole';
/** An empty file for each whole one: the file system shows a file before its first byte. */
const MARKS = 'marks';

/** The files in the folder. */
export async function openOpfsFiles(folder: FolderHandle): Promise<DeviceFiles> {
  const pieces = await folder.getDirectoryHandle(PIECES, { create: true });
  const whole = await folder.getDirectoryHandle(WHOLE, { create: true });
  const marks = await folder.getDirectoryHandle(MARKS, { create: true });
  const blobOf = async (name: string) =>
    ((await fileIn(marks, name)) && (await fileIn(whole, name))) ??
    (await joined(await pieceFolder(pieces, name)));
  const read = async (name: string) => {
    const blob = await blobOf(name);
    if (blob === null) throw new Error(`there is no file ${name}`);
    return new Uint8Array(await blob.arrayBuffer());
  };
  const remove = async (name: string) => {
    await orNull(marks.removeEntry(name));
    await orNull(whole.removeEntry(name));
    await orNull(pieces.removeEntry(name, { recursive: true }));
  };
  const size = async (name: string) => {
    const file = (await fileIn(marks, name)) && (await fileIn(whole, name));
    return file?.size ?? (await endOf(await pieceFolder(pieces, name)));
  };
  return {
    size,
    append: async (name, bytes) => {
      const at = (await size(name)) ?? 0;
      const into = await pieces.getDirectoryHandle(name, { create: true });
      const place = String(at).padStart(PLACE_DIGITS, '0');
      if (bytes.length > 0) await writeFile(into, place, new Blob([bytes.slice()]));
    },
    putNamed: async (sha256, bytes) => {
      if ((await bytesSha256(bytes)) !== sha256) return false;
      await writeFile(whole, sha256, new Blob([bytes.slice()]));
      await marks.getFileHandle(sha256, { create: true });
      return true;
    },
    read,
    sha256: async (name) => bytesSha256(await read(name)),
    rename: async (from, to) => {
      const blob = await blobOf(from);
      if (blob === null) throw new Error(`there is no file ${from}`);
      await remove(to);
      await writeFile(whole, to, blob);
      await marks.getFileHandle(to, { create: true });
      await remove(from);
    },
    remove,
    list: async () => [...new Set([...(await namesIn(whole)), ...(await namesIn(pieces))])],
  };
}

async function writeFile(folder: FolderHandle, name: string, content: Blob): Promise<void> {
  const file = await folder.getFileHandle(name, { create: true });
  try {
    const writer = (await file.createWritable()).getWriter();
    // the browser copies it by itself: a stream of its bytes would come through this thread
    await writer.write(content);
    await writer.close();
  } catch (error) {
    const isFull = (error as { readonly name?: string }).name === 'QuotaExceededError';
    throw isFull ? new QuotaError('the browser gives no more room', { cause: error }) : error;
  }
}

async function fileIn(folder: FolderHandle, name: string): Promise<Blob | null> {
  const handle = await orNull(folder.getFileHandle(name));
  return handle === null ? null : await handle.getFile();
}

async function pieceFolder(pieces: FolderHandle, name: string): Promise<FolderHandle | null> {
  return await orNull(pieces.getDirectoryHandle(name));
}

/** Where the last piece ends; null where there is no folder. To ask every piece for its size would take longer with each. */
async function endOf(folder: FolderHandle | null): Promise<number | null> {
  if (folder === null) return null;
  const last = (await namesIn(folder)).sort().at(-1);
  if (last === undefined) return 0;
  return Number(last) + ((await fileIn(folder, last))?.size ?? 0);
}

/** The pieces in their order, as one; null where there is no folder. */
async function joined(folder: FolderHandle | null): Promise<Blob | null> {
  if (folder === null) return null;
  const parts: Blob[] = [];
  for (const name of (await namesIn(folder)).sort()) {
    const part = await fileIn(folder, name);
    if (part !== null) parts.push(part);
  }
  return new Blob(parts);
}

async function namesIn(folder: FolderHandle): Promise<string[]> {
  const names: string[] = [];
  for await (const name of folder.keys()) names.push(name);
  return names;
}

/** What is asked for; null when it is not there. */
async function orNull<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if ((error as { readonly name?: string }).name === 'NotFoundError') return null;
    throw error;
  }
}
