import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type FileLock, tryFileLock } from '../lib/file-lock.ts';
import { StartError } from '../lib/start-error.ts';

/** Takes the data folder for this process, making it if missing. The operating system holds the lock, so a killed process
 *  holds nothing. Throws StartError naming the folder and its holder. */
export async function lockDataFolder(dataDir: string): Promise<FileLock> {
  const path = join(dataDir, 'lock');
  const lock = await tryFileLock(path);
  if (lock === null) {
    const holder = (await readFile(path, 'utf8')) || 'unknown';
    throw new StartError(
      `The data folder ${resolve(dataDir)} is in use by process ${holder}. ` +
        'Stop that server first, or choose another folder with --data.',
    );
  }
  await writeFile(path, String(process.pid));
  return lock;
}
