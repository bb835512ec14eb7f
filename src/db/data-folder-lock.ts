import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type FileLock, tryFileLock } from '../lib/file-lock.ts';
import { StartError } from '../lib/start-error.ts';

/** Another process has the data folder. */
export class DataFolderInUse extends StartError {
  /** That process, or NaN when it has not said yet. */
  readonly pid: number;

  constructor(dataDir: string, holder: string) {
    super(
      `The data folder ${resolve(dataDir)} is in use by process ${holder || 'unknown'}. ` +
        'Stop that server first, or choose another folder with --data.',
    );
    this.pid = Number(holder || Number.NaN);
  }
}

/** Takes the data folder for this process, making it if missing. The operating system holds the lock, so a killed process
 *  holds nothing. Throws DataFolderInUse naming the folder and its holder. */
export async function lockDataFolder(dataDir: string): Promise<FileLock> {
  const path = join(dataDir, 'lock');
  const lock = await tryFileLock(path);
  if (lock === null) {
    throw new DataFolderInUse(dataDir, await readFile(path, 'utf8'));
  }
  await writeFile(path, String(process.pid));
  return lock;
}
