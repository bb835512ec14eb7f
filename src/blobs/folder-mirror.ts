// Folders of files as blobs: a folder `dir` named `name` has its files under `name/`.

import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { sync } from '../lib/atomic-file.ts';
import type { Blobs } from './blobs.ts';

/** Keeps every file of the folder; `last` names the one whose being there says that all are. */
export async function putFolder(blobs: Blobs, name: string, dir: string, last: string) {
  const files = (await readdir(dir)).filter((file) => file !== last);
  for (const file of [...files, last]) await blobs.put(`${name}/${file}`, join(dir, file));
}

/** Makes the folder anew from what is kept, whole or not at all, in place of what was there. False, and nothing is touched,
 *  when the file that says that all are there is not. `scratch` begins the name of the folder it is gathered in, beside its place. */
export async function fetchFolder(
  blobs: Blobs,
  name: string,
  dir: string,
  { last, scratch }: { last: string; scratch: string },
): Promise<boolean> {
  const files = (await blobs.list(`${name}/`)).map((blob) => basename(blob));
  if (!files.includes(last)) return false;
  const unfinished = join(dirname(dir), `${scratch}${randomUUID()}`);
  await mkdir(unfinished, { recursive: true });
  try {
    for (const file of files)
      if (!(await blobs.fetch(`${name}/${file}`, join(unfinished, file)))) return false;
    await sync(unfinished);
    await rm(dir, { recursive: true, force: true });
    await rename(unfinished, dir);
    await sync(dirname(dir));
    return true;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}
