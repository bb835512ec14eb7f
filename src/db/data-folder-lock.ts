// One process per data folder. The operating system holds the lock, so a killed process holds nothing.

import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type FileLock, tryFileLock } from '../lib/file-lock.ts';

/** Another process works on the data folder. */
export class DataFolderInUse extends Error {
  constructor(dataDir: string, holder: string) {
    super(
      `The data folder ${resolve(dataDir)} is in use by process ${holder}. ` +
        'Stop that server first, or choose another folder with --data.',
    );
    this.name = 'DataFolderInUse';
  }
}

/** Takes the data folder for this process, making it if missing; throws DataFolderInUse naming folder and holder. */
export async function lockDataFolder(dataDir: string): Promise<FileLock> {
  const path = join(dataDir, 'lock');
  const lock = await tryFileLock(path);
  if (lock === null)
    throw new DataFolderInUse(dataDir, (await readFile(path, 'utf8')) || 'unknown');
  await writeFile(path, String(process.pid));
  return lock;
}
