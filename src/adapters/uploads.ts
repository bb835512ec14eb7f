// Adapters on their way from devices: a file with what each is to be, and a folder of the pieces that have come. Its id follows from what is
// uploaded, so that a device that begins again, or has forgotten that it began, finds what is there. Who may read or write
// an upload is its user alone: the files of a user lie in a folder of that user's, sealed, for at most a day.

import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../lib/atomic-file.ts';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../lib/errors.ts';
import { nullIfMissing } from '../lib/null-if-missing.ts';
import { sha256 } from '../lib/sha256.ts';
import type { Vault } from '../sealing/vault.ts';
import type { UploadMirror, UploadPlace } from './upload-mirror.ts';
import { UploadPieces } from './upload-pieces.ts';

/** Nobody goes on after this long; the device begins again. */
const MAX_AGE_MS = 24 * 60 * 60 * 1000;
/** More at a time is no device of ours: each is megabytes. */
const MAX_UPLOADS = 8;
const ID = /^[0-9a-f]{64}$/;
const ID_LENGTH = 64;

/** What is to be uploaded. */
export interface UploadPlan {
  readonly deviceId: string;
  readonly mode: string;
  readonly sizeBytes: number;
  /** SHA-256 of the whole file. */
  readonly sha256: string;
}

/** An upload, and how far it is. */
export interface Upload extends UploadPlan {
  readonly id: string;
  readonly receivedBytes: number;
  /** The adapter that was published from it; null: none was yet. */
  readonly adapterId: string | null;
}

/** What is kept of an upload beside its bytes. */
type Kept = UploadPlan & Pick<Upload, 'adapterId'>;

/** Keeps uploads in a folder, which processes may share, or in folders of their own with a bucket behind them. */
export class Uploads {
  readonly #root: string;
  readonly #clock: Clock;
  readonly #vault: Pick<Vault, 'keysOf'>;
  readonly #mirror: UploadMirror | null;

  /** `mirror`: where several servers share no folder. */
  constructor(
    root: string,
    clock: Clock,
    vault: Pick<Vault, 'keysOf'>,
    mirror: UploadMirror | null = null,
  ) {
    this.#root = root;
    this.#vault = vault;
    this.#mirror = mirror;
    this.#clock = clock;
  }

  /** Begins an upload, or finds it as it was left. Throws RATE_LIMITED where the user has too many that are not finished. */
  async begin(userId: string, plan: UploadPlan): Promise<Upload> {
    const { deviceId, mode, sizeBytes } = plan;
    const id = sha256(JSON.stringify([deviceId, mode, sizeBytes, plan.sha256]));
    const known = await this.find(userId, id);
    if (known !== null) return known;
    await mkdir(this.#folder(userId), { recursive: true });
    if ((await this.#clear(userId)) >= MAX_UPLOADS) {
      const message = `You have ${MAX_UPLOADS} uploads that are not finished. Finish one first.`;
      throw new AppError('RATE_LIMITED', message, { retryAfterMs: 60_000 });
    }
    const kept: Kept = { deviceId, mode, sizeBytes, sha256: plan.sha256, adapterId: null };
    await this.#write(userId, id, kept);
    await this.share(userId, id);
    return { ...kept, id, receivedBytes: 0 };
  }

  /** The user's upload; null: there is none of that id. */
  async find(userId: string, id: string): Promise<Upload | null> {
    if (!ID.test(id)) return null;
    const here = await this.#findHere(userId, id);
    if (this.#mirror === null || (here !== null && here.adapterId !== null)) return here;
    await mkdir(this.#folder(userId), { recursive: true });
    const has = { bytes: here?.receivedBytes ?? null };
    await this.#mirror.bring(await this.#placeOf(userId, id), has);
    return this.#findHere(userId, id);
  }

  /** Lets other servers have what is here. */
  async share(userId: string, id: string, isPublished = false): Promise<void> {
    await this.#mirror?.send(await this.#placeOf(userId, id), { isPublished });
  }

  async #findHere(userId: string, id: string): Promise<Upload | null> {
    const kept = await readFile(this.#planPathOf(userId, id), 'utf8').catch(nullIfMissing);
    if (kept === null) return null;
    const { pieces } = await this.#placeOf(userId, id);
    return { ...(JSON.parse(kept) as Kept), id, receivedBytes: await pieces.size() };
  }

  /** Adds what a device has sent behind what is there. Two at once must not do so. */
  async append(userId: string, id: string, bytes: Uint8Array): Promise<void> {
    const { pieces } = await this.#placeOf(userId, id);
    await pieces.append(bytes);
    await this.share(userId, id);
  }

  async #placeOf(userId: string, id: string): Promise<UploadPlace> {
    const dir = join(this.#folder(userId), `${id}.pieces`);
    const pieces = new UploadPieces(dir, await this.#vault.keysOf(userId));
    return { userId, id, pieces, planPath: this.#planPathOf(userId, id) };
  }

  #planPathOf(userId: string, id: string): string {
    return join(this.#folder(userId), `${id}.json`);
  }

  /** The bytes of an upload that is whole. Throws BAD_INPUT where it is not, or is another file than it was to be: then it
   *  is removed, and the device begins again. */
  async read(userId: string, upload: Upload): Promise<Buffer> {
    const { id, receivedBytes, sizeBytes } = upload;
    if (receivedBytes < sizeBytes)
      throw sendAgain(`The upload has ${receivedBytes} of ${sizeBytes} bytes.`);
    const { pieces } = await this.#placeOf(userId, id);
    const bytes = await pieces.read();
    if (bytes.length === sizeBytes && sha256(bytes) === upload.sha256) return bytes;
    await this.remove(userId, id);
    throw sendAgain(`The upload is not the file ${upload.sha256}: begin again.`);
  }

  /** Notes what was published from it, for the device that did not hear so, and removes its bytes. */
  async finish(userId: string, upload: Upload, adapterId: string): Promise<void> {
    const { id, receivedBytes: _, ...kept } = upload;
    await this.#write(userId, id, { ...kept, adapterId });
    await this.share(userId, id, true);
    await (await this.#placeOf(userId, id)).pieces.remove();
  }

  /** Removes what nobody goes on with, of all users: most who leave an upload behind never begin another. */
  async removeOld(): Promise<void> {
    for (const userId of await this.users()) await this.#clear(userId);
  }

  /** Who has, or had, uploads here. */
  async users(): Promise<readonly string[]> {
    return (await readdir(this.#root).catch(nullIfMissing)) ?? [];
  }

  /** Removes every upload of the user. */
  async removeAll(userId: string): Promise<void> {
    await rm(this.#folder(userId), { recursive: true, force: true });
    await this.#mirror?.removeAll(userId);
  }

  async remove(userId: string, id: string): Promise<void> {
    for (const name of await this.#namesOf(userId))
      if (idOf(name) === id)
        await rm(join(this.#folder(userId), name), { recursive: true, force: true });
    await this.#mirror?.remove({ userId, id });
  }

  async #write(userId: string, id: string, kept: Kept): Promise<void> {
    await writeFileAtomically(this.#planPathOf(userId, id), JSON.stringify(kept));
  }

  #folder(userId: string): string {
    return join(this.#root, userId);
  }

  /** Removes what nobody goes on with; returns how many uploads are left. */
  async #clear(userId: string): Promise<number> {
    let left = 0;
    const names = await this.#namesOf(userId);
    for (const id of new Set(names.map(idOf))) {
      // bytes alone are about to get their plan, or their server died before it wrote it
      const plan = names.find((name) => name === `${id}.json`);
      const first = plan ?? names.find((name) => idOf(name) === id) ?? id;
      const begun = await stat(join(this.#folder(userId), first)).catch(nullIfMissing);
      const isOld = begun !== null && this.#clock.now() - begun.mtimeMs > MAX_AGE_MS;
      if (isOld) await this.remove(userId, id);
      else if ((await this.#findHere(userId, id))?.adapterId === null) left += 1;
    }
    return left;
  }

  async #namesOf(userId: string): Promise<readonly string[]> {
    return (await readdir(this.#folder(userId)).catch(nullIfMissing)) ?? [];
  }
}

/** Whose file or folder it is: every name begins with the id. */
function idOf(name: string): string {
  return name.slice(0, ID_LENGTH);
}

/** The error for an upload that is not there as it was sent. */
function sendAgain(message: string): AppError {
  return new AppError('BAD_INPUT', message, { reason: 'SEND_AGAIN' });
}
