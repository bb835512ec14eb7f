// Uploads in a bucket, behind the folders of several servers: whichever of them gets a device's next bytes finds those before.
// An object has everything up to its length, sealed; it is named by that length, so that the longest one is the newest,
// and bytes that two servers took at once do no harm: they are the same.

import { randomUUID } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Blobs } from '../blobs/blobs.ts';
import { writeFileAtomically } from '../lib/atomic-file.ts';
import type { Json } from '../lib/canonical-json.ts';
import type { Vault } from '../sealing/vault.ts';
import { folderOfUser } from './store.ts';
import { readUploadFile, writeUploadFile } from './upload-file.ts';

/** Where an upload is: in the bucket by user and id, here in two files. */
export interface UploadPlace {
  readonly userId: string;
  readonly id: string;
  readonly path: string;
}

/** What is kept of an upload, as it lies in its two files. */
interface State {
  readonly plan: string;
  /** base64 */
  readonly bytes: string;
}

/** A published upload has no bytes any more; its name sorts behind all lengths. */
const PUBLISHED = 'published';

export class UploadMirror {
  readonly #blobs: Blobs;
  readonly #vault: Pick<Vault, 'keysOf'>;
  readonly #scratch: string;

  constructor(blobs: Blobs, vault: Pick<Vault, 'keysOf'>, scratch: string) {
    this.#blobs = blobs;
    this.#vault = vault;
    this.#scratch = scratch;
  }

  /** Brings what other servers have of the upload into the files, unless as much is there. */
  async bring(place: UploadPlace, has: { readonly bytes: number | null }): Promise<void> {
    const newest = (await this.#blobs.list(prefixOf(place))).at(-1);
    if (newest === undefined) return;
    const isPublished = basename(newest) === PUBLISHED;
    if (!isPublished && has.bytes !== null && Number(basename(newest)) <= has.bytes) return;
    const state = await this.#fetch(place, newest);
    // removed meanwhile
    if (state === null) return;
    if (isPublished) await rm(place.path, { force: true });
    else
      await writeUploadFile(
        place.path,
        await this.#vault.keysOf(place.userId),
        Buffer.from(state.bytes, 'base64'),
      );
    await writeFileAtomically(`${place.path}.json`, state.plan);
  }

  /** Hands on what the files have; `isPublished`: the plan alone. */
  async send(place: UploadPlace, { isPublished }: { isPublished: boolean }): Promise<void> {
    const before = await this.#blobs.list(prefixOf(place));
    const plan = await readFile(`${place.path}.json`, 'utf8');
    const keys = await this.#vault.keysOf(place.userId);
    const bytes = isPublished ? Buffer.of() : await readUploadFile(place.path, keys);
    const name = isPublished ? PUBLISHED : String(bytes.length).padStart(12, '0');
    const state = { plan, bytes: bytes.toString('base64') };
    const file = join(this.#scratch, `${randomUUID()}.sending`);
    try {
      await writeFileAtomically(file, keys.seal(sealOf(place), state as unknown as Json));
      await this.#blobs.put(prefixOf(place) + name, file);
    } finally {
      await rm(file, { force: true });
    }
    for (const old of before) if (basename(old) < name) await this.#blobs.remove(old);
  }

  async remove(place: Pick<UploadPlace, 'userId' | 'id'>): Promise<void> {
    for (const name of await this.#blobs.list(prefixOf(place))) await this.#blobs.remove(name);
  }

  async removeAll(userId: string): Promise<void> {
    const all = `uploads/${folderOfUser(userId)}/`;
    for (const name of await this.#blobs.list(all)) await this.#blobs.remove(name);
  }

  async #fetch(place: UploadPlace, name: string): Promise<State | null> {
    const file = join(this.#scratch, `${randomUUID()}.coming`);
    try {
      if (!(await this.#blobs.fetch(name, file))) return null;
      const keys = await this.#vault.keysOf(place.userId);
      return keys.open(sealOf(place), await readFile(file)) as unknown as State;
    } finally {
      await rm(file, { force: true });
    }
  }
}

function prefixOf({ userId, id }: Pick<UploadPlace, 'userId' | 'id'>): string {
  return `uploads/${folderOfUser(userId)}/${id}/`;
}

function sealOf({ id }: UploadPlace): string {
  return `upload ${id}`;
}
