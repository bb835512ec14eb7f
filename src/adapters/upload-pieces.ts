// The bytes of an upload on the disk: a folder of the pieces that they came in. Each is sealed once, under a key of its user's,
// and is there whole or not at all; its name says where it belongs and which key opens it. Pieces overlap where two servers
// took the same bytes at once, and where one died that had just put two together: what they have in common is the same.

import { mkdir, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { writeFileAtomically } from '../lib/atomic-file.ts';
import { must } from '../lib/errors.ts';
import { nullIfMissing } from '../lib/null-if-missing.ts';
import { bytesFor, type PrivateFolder, readFileIn } from '../sealing/private-folder.ts';
import type { UserKeys } from '../sealing/user-keys.ts';

/** A shorter piece is sealed again together with what comes next, or bytes that trickle in would become a file each. */
export const LEAST_PIECE_BYTES = 64 * 1024;

/** Bytes from `start` up to `end`, which is left out. */
export interface Piece {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  /** Of the key that opens it. */
  readonly generation: number;
}

/** What a file of this name has; null: it is no piece, such as one that was not written to its end. */
export function pieceOf(name: string): Piece | null {
  const [, start, end, generation] = /^(\d+)-(\d+)\.(\d+)$/.exec(name) ?? [];
  if (generation === undefined) return null;
  return { name, start: Number(start), end: Number(end), generation: Number(generation) };
}

/** The pieces in one folder. */
export class UploadPieces {
  readonly dir: string;
  readonly #keys: UserKeys['fileKeys'];

  constructor(dir: string, { fileKeys }: Pick<UserKeys, 'fileKeys'>) {
    this.dir = dir;
    this.#keys = fileKeys;
  }

  /** Those that give all bytes from the first one on, without a gap, in order. What no key opens any more counts for nothing. */
  async list(): Promise<readonly Piece[]> {
    const names = (await readdir(this.dir).catch(nullIfMissing)) ?? [];
    const pieces = names
      .flatMap((name) => pieceOf(name) ?? [])
      .filter((piece) => this.opens(piece));
    const list: Piece[] = [];
    for (const piece of pieces.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
      const end = sizeOf(list);
      if (piece.start <= end && piece.end > end) list.push(piece);
    }
    return list;
  }

  opens({ generation }: Piece): boolean {
    return this.#keys.some((key) => key.generation === generation);
  }

  /** How many bytes have come so far. */
  async size(): Promise<number> {
    return sizeOf(await this.list());
  }

  /** Adds bytes behind those that are there. */
  async append(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    const pieces = await this.list();
    const last = pieces.at(-1);
    const short = last && last.end - last.start < LEAST_PIECE_BYTES ? last : null;
    const before = short === null ? Buffer.of() : await this.#read(short);
    const end = sizeOf(pieces);
    const { generation } = must(this.#keys[0], 'a user has a key');
    const name = `${short?.start ?? end}-${end + bytes.length}.${generation}`;
    await mkdir(this.dir, { recursive: true });
    const sealed = bytesFor(this.#folder, name, Buffer.concat([before, bytes]));
    await writeFileAtomically(join(this.dir, name), sealed);
    if (short !== null) await rm(join(this.dir, short.name));
  }

  /** All that has come so far. Throws UnsealError. */
  async read(): Promise<Buffer> {
    const texts: Buffer[] = [];
    let end = 0;
    for (const piece of await this.list()) {
      texts.push((await this.#read(piece)).subarray(end - piece.start));
      end = piece.end;
    }
    return Buffer.concat(texts);
  }

  async remove(): Promise<void> {
    await rm(this.dir, { recursive: true, force: true });
  }

  #read({ name }: Piece): Promise<Buffer> {
    return readFileIn(this.#folder, name);
  }

  get #folder(): PrivateFolder {
    return { dir: this.dir, seal: { place: `upload ${basename(this.dir)}`, keys: this.#keys } };
  }
}

function sizeOf(pieces: readonly Piece[]): number {
  return pieces.at(-1)?.end ?? 0;
}
