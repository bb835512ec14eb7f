// A device's storage in a folder: state.jsonl is a journal of writes; files/ has the downloads.

import type { FileHandle } from 'node:fs/promises';
import { appendFile, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sync, writeFileAtomically } from '../../lib/atomic-file.ts';
import { tryFileLock } from '../../lib/file-lock.ts';
import { nullIfMissing } from '../../lib/null-if-missing.ts';
import { sha256, sha256File } from '../../lib/sha256.ts';
import { type Journal, journalLine, journalStorage, readJournal } from './journal.ts';
import { type DeviceFiles, type DeviceStorage, QuotaError } from './storage.ts';

/** Opens the storage in the folder, which is made if it is not there. Throws when another client has it open. */
export async function openNodeStorage(folder: string): Promise<DeviceStorage> {
  await mkdir(join(folder, 'files'), { recursive: true });
  const lock = await tryFileLock(join(folder, 'lock'));
  if (lock === null) throw new Error(`another client has ${folder} open`);
  const path = join(folder, 'state.jsonl');
  await rm(nextOf(path), { force: true });
  const state = readJournal((await readFile(path, 'utf8').catch(nullIfMissing)) ?? '');
  const storage = journalStorage(nodeJournal(folder, path, await open(path, 'a')), state);
  return {
    ...storage,
    files: nodeFiles(join(folder, 'files')),
    close: async () => {
      await storage.close();
      await lock.release();
    },
  };
}

/** Where the journal that will be in the place of this one is written. */
const nextOf = (path: string) => `${path}.next`;

function nodeJournal(folder: string, path: string, first: FileHandle): Journal {
  let journal = first;
  return {
    append: (line) => keep(journal, line),
    replace: async (writes) => {
      const former = journal;
      journal = await begin(path, journalLine(writes));
      await former.close();
      // no line that follows may be on the disk before the journal that it belongs to
      await sync(folder);
    },
    close: () => journal.close(),
  };
}

/** A journal of this line in the place of the one that is there, which stays when this cannot be done. */
async function begin(path: string, line: string): Promise<FileHandle> {
  const next = nextOf(path);
  const journal = await open(next, 'a');
  try {
    await journal.appendFile(line);
    await journal.sync();
    await rename(next, path);
    return journal;
  } catch (error) {
    await journal.close();
    await rm(next, { force: true });
    throw quotaOr(error);
  }
}

/** The line is on the disk, or the journal is as it was. */
async function keep(journal: FileHandle, line: string): Promise<void> {
  const { size } = await journal.stat();
  try {
    await journal.appendFile(line);
    await journal.datasync();
  } catch (error) {
    // half a line would hide every line behind it
    await journal.truncate(size);
    throw quotaOr(error);
  }
}

function nodeFiles(folder: string): DeviceFiles {
  const pathOf = (name: string) => join(folder, name);
  return {
    size: async (name) => (await stat(pathOf(name)).catch(nullIfMissing))?.size ?? null,
    append: (name, bytes) =>
      appendFile(pathOf(name), bytes).catch((error) => {
        throw quotaOr(error);
      }),
    putNamed: async (name, bytes) => {
      if (sha256(bytes) !== name) return false;
      await writeFileAtomically(pathOf(name), bytes).catch((error) => {
        throw quotaOr(error);
      });
      return true;
    },
    read: (name) => readFile(pathOf(name)),
    sha256: (name) => sha256File(pathOf(name)),
    rename: async (from, to) => {
      await sync(pathOf(from));
      await rename(pathOf(from), pathOf(to));
      await sync(folder);
    },
    remove: (name) => rm(pathOf(name), { force: true }),
    list: () => readdir(folder),
    path: pathOf,
  };
}

function quotaOr(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return new QuotaError('the disk is full', { cause: error });
}
