// Packages that processes hand each other through blobs, so that one of them fetches and converts for all:
//
//   sources/<key>.json   which package a source became
//   models/<sha256>/     the packages, their manifest last

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Blobs } from '../../blobs/blobs.ts';
import { fetchFolder } from '../../blobs/folder-mirror.ts';
import { canonicalJson } from '../../lib/canonical-json.ts';
import { type Base, MANIFEST_NAME } from './base-package.ts';

/** Puts the package there, and which source it is of, unless the source is known there already. */
export async function share(blobs: Blobs, record: string, base: Base): Promise<void> {
  if ((await blobs.list(`sources/${record}`)).length > 0) return;
  for (const name of [...base.files.map((file) => file.name), MANIFEST_NAME])
    await blobs.put(`models/${base.sha256}/${name}`, join(base.dir, name));
  await withFile(async (path) => {
    await writeFile(path, canonicalJson({ base: base.sha256 }));
    await blobs.put(`sources/${record}`, path);
  });
}

/** Fetches the package of the source into the folder; false when there is none. Its bytes are not checked here. */
export async function fetchShared(blobs: Blobs, record: string, dir: string): Promise<boolean> {
  const text = await withFile(async (path) =>
    (await blobs.fetch(`sources/${record}`, path)) ? readFile(path, 'utf8') : null,
  );
  if (text === null) return false;
  const { base } = JSON.parse(text) as { readonly base: string };
  const whole = { last: MANIFEST_NAME, scratch: '.fetching-' };
  return fetchFolder(blobs, `models/${base}`, dir, whole);
}

async function withFile<T>(use: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'attune-share-'));
  try {
    return await use(join(folder, 'record'));
  } finally {
    await rm(folder, { recursive: true });
  }
}
