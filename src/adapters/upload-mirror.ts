// Uploads in a bucket, behind the folders of several servers: whichever of them gets a device's next bytes finds those before.
// An object is a piece, as it lies sealed in the folder, or what the upload is to be. Pieces that two servers took at once do no
// harm: what they have in common is the same.

import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Blobs } from '../blobs/blobs.ts';
import { writeFileAtomically } from '../lib/atomic-file.ts';
import { nullIfMissing } from '../lib/null-if-missing.ts';
import { UnsealError } from '../sealing/seal.ts';
import type { Vault } from '../sealing/vault.ts';
import { folderOfUser } from './store.ts';
import { type Piece, pieceOf, type UploadPieces } from './upload-pieces.ts';

/** Where an upload is: in the bucket by user and id, here in a file and a folder. */
export interface UploadPlace {
  readonly userId: string;
  readonly id: string;
  readonly planPath: string;
  readonly pieces: UploadPieces;
}

/** The objects with what it is to be: a published upload has no bytes any more. */
type PlanName = 'plan' | 'published';

export class UploadMirror {
  readonly #blobs: Blobs;
  readonly #vault: Pick<Vault, 'keysOf'>;
  readonly #scratch: string;

  constructor(blobs: Blobs, vault: Pick<Vault, 'keysOf'>, scratch: string) {
    this.#blobs = blobs;
    this.#vault = vault;
    this.#scratch = scratch;
  }

  /** Brings what other servers have of the upload and is not here. */
  async bring(place: UploadPlace, has: { readonly bytes: number | null }): Promise<void> {
    const { pieces, planPath } = place;
    const names = await this.#namesOf(place);
    if (names.includes('published')) {
      await pieces.remove();
      return this.#bringPlan(place, 'published');
    }
    const here = (await readdir(pieces.dir).catch(nullIfMissing)) ?? [];
    const isMissing = (piece: Piece) =>
      piece.end > (has.bytes ?? 0) && !here.includes(piece.name) && pieces.opens(piece);
    for (const { name } of piecesIn(names).filter(isMissing)) {
      await mkdir(pieces.dir, { recursive: true });
      // put together with the next one meanwhile, or removed
      if (!(await this.#blobs.fetch(prefixOf(place) + name, join(pieces.dir, name))))
        return this.bring(place, has);
    }
    const plan = await readFile(planPath).catch(nullIfMissing);
    if (plan === null && names.includes('plan')) await this.#bringPlan(place, 'plan');
  }

  /** Hands on what is here and not in the bucket; `isPublished`: the plan alone. */
  async send(place: UploadPlace, { isPublished }: { isPublished: boolean }): Promise<void> {
    const before = await this.#namesOf(place);
    if (isPublished) {
      await this.#sendPlan(place, 'published');
      return this.#removeOf(
        place,
        before.filter((name) => name !== 'published'),
      );
    }
    const { dir } = place.pieces;
    const here = await place.pieces.list();
    for (const { name } of here)
      if (!before.includes(name)) await this.#blobs.put(prefixOf(place) + name, join(dir, name));
    if (!before.includes('plan')) await this.#sendPlan(place, 'plan');
    const isInAnother = ({ name, start, end }: Piece) =>
      here.some((one) => one.name !== name && one.start <= start && end <= one.end);
    const outgrown = piecesIn(before).filter(isInAnother);
    await this.#removeOf(
      place,
      outgrown.map(({ name }) => name),
    );
  }

  async remove(place: Pick<UploadPlace, 'userId' | 'id'>): Promise<void> {
    await this.#removeOf(place, await this.#namesOf(place));
  }

  async removeAll(userId: string): Promise<void> {
    const all = `uploads/${folderOfUser(userId)}/`;
    for (const name of await this.#blobs.list(all)) await this.#blobs.remove(name);
  }

  async #namesOf(place: Pick<UploadPlace, 'userId' | 'id'>): Promise<readonly string[]> {
    return (await this.#blobs.list(prefixOf(place))).map((name) => basename(name));
  }

  async #removeOf(
    place: Pick<UploadPlace, 'userId' | 'id'>,
    names: readonly string[],
  ): Promise<void> {
    for (const name of names) await this.#blobs.remove(prefixOf(place) + name);
  }

  async #sendPlan(place: UploadPlace, name: PlanName): Promise<void> {
    const keys = await this.#vault.keysOf(place.userId);
    const plan = await readFile(place.planPath, 'utf8');
    const file = join(this.#scratch, `${randomUUID()}.sending`);
    try {
      await writeFileAtomically(file, keys.seal(sealOf(place), { plan }));
      await this.#blobs.put(prefixOf(place) + name, file);
    } finally {
      await rm(file, { force: true });
    }
  }

  async #bringPlan(place: UploadPlace, name: PlanName): Promise<void> {
    const file = join(this.#scratch, `${randomUUID()}.coming`);
    try {
      // false: removed meanwhile
      if (!(await this.#blobs.fetch(prefixOf(place) + name, file))) return;
      const keys = await this.#vault.keysOf(place.userId);
      const { plan } = keys.open(sealOf(place), await readFile(file)) as { readonly plan: string };
      await writeFileAtomically(place.planPath, plan);
    } catch (error) {
      if (!(error instanceof UnsealError)) throw error;
      // its key is gone, as its pieces' is: the device begins again
      await this.#removeOf(place, [name]);
    } finally {
      await rm(file, { force: true });
    }
  }
}

function piecesIn(names: readonly string[]): readonly Piece[] {
  return names.flatMap((name) => pieceOf(name) ?? []);
}

function prefixOf({ userId, id }: Pick<UploadPlace, 'userId' | 'id'>): string {
  return `uploads/${folderOfUser(userId)}/${id}/`;
}

function sealOf({ id }: UploadPlace): string {
  return `upload ${id}`;
}
