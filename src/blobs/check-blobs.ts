import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { must } from '../lib/errors.ts';
import { openBlobs } from './open-blobs.ts';

/** Writes, reads, lists and removes a blob; says where. Throws when one of them cannot be done. */
export async function checkBlobs(remoteUrl: string): Promise<string> {
  const blobs = must(await openBlobs(remoteUrl), 'the URL was checked when it was read');
  const folder = await mkdtemp(join(tmpdir(), 'attune-check-'));
  const name = `check/${randomUUID()}`;
  try {
    const file = join(folder, 'file');
    await writeFile(file, name);
    await blobs.put(name, file);
    const isListed = (await blobs.list(name)).includes(name);
    const isThere = await blobs.fetch(name, file);
    await blobs.remove(name);
    if (!isListed || !isThere || (await readFile(file, 'utf8')) !== name)
      throw new Error(`${blobs.label} does not give back what was written`);
    return blobs.label;
  } finally {
    blobs.close();
    await rm(folder, { recursive: true });
  }
}
