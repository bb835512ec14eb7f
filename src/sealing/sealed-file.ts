// Sealed files whose parts can be read by themselves: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015) laid
// out as Tink's AES-GCM-HKDF streaming does. A key per file from a random salt; a chunk's nonce has its number and whether it
// is the last one, so chunks can be neither moved nor cut off unnoticed.
//
//   file   = header || chunk 0 || chunk 1 || ...     chunk = up to 64 KiB of text, encrypted, and its tag
//   header = "ATS1" || key generation u32 || salt 32 || nonce prefix 7

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { CIPHER, deriveKey, TAG_BYTES, UnsealError } from './seal.ts';

const MAGIC = Buffer.from('ATS1');
const SALT_BYTES = 32;
const PREFIX_BYTES = 7;
const HEADER_BYTES = MAGIC.length + 4 + SALT_BYTES + PREFIX_BYTES;
/** Text of a chunk: what a reader of one byte has to decrypt. */
const CHUNK_BYTES = 64 * 1024;
const SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES;

/** The key for a file, and which of the owner's generations it is derived from. */
export interface FileKey {
  readonly generation: number;
  readonly key: Uint8Array;
}

/** Where in the text to read: from `start` up to `end`, which is left out. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** The whole file. `place` names what the file is, and opens it only under the same name. */
export function sealFile({ generation, key }: FileKey, place: string, plain: Uint8Array): Buffer {
  const header = Buffer.concat([
    MAGIC,
    uint32(generation),
    randomBytes(SALT_BYTES),
    randomBytes(PREFIX_BYTES),
  ]);
  const content = contentKey(key, place, header);
  const count = chunkCount(plain.length);
  const chunks = Array.from({ length: count }, (_, i) => {
    const text = plain.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES);
    const cipher = createCipheriv(CIPHER, content, nonceOf(header, i, i === count - 1));
    return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
  });
  return Buffer.concat([header, ...chunks]);
}

/** The generation of the key that a file was sealed with. Throws UnsealError on what is no sealed file. */
export function generationOf(sealed: Uint8Array): number {
  const header = Buffer.from(sealed.subarray(0, HEADER_BYTES));
  if (header.length < HEADER_BYTES || !header.subarray(0, MAGIC.length).equals(MAGIC))
    throw new UnsealError('it is no sealed file');
  return header.readUInt32BE(MAGIC.length);
}

/** The text of a whole file in memory. Throws UnsealError when it is not as it was sealed. */
export function openFile(key: Uint8Array, place: string, sealed: Uint8Array): Buffer {
  const plainBytes = plainSize(sealed.length);
  generationOf(sealed);
  const header = Buffer.from(sealed.subarray(0, HEADER_BYTES));
  const open = chunkOpener(key, place, { header, plainBytes });
  const chunks = Array.from({ length: chunkCount(plainBytes) }, (_, i) => {
    const start = HEADER_BYTES + i * SEALED_CHUNK_BYTES;
    return open(i, sealed.subarray(start, start + SEALED_CHUNK_BYTES));
  });
  return Buffer.concat(chunks);
}

/** A file that is open for reading parts of its text; the caller closes the handle. */
export interface SealedReader {
  readonly plainBytes: number;
  /** Throws UnsealError as soon as a chunk is not as it was sealed; nothing of that chunk is given out. */
  read(range: Range): AsyncGenerator<Buffer>;
}

/** Opens a file's parts. `keyOf` gives the key of the generation that the file names. */
export async function openSealedReader(
  file: FileHandle,
  place: string,
  keyOf: (generation: number) => Uint8Array,
): Promise<SealedReader> {
  const header = await readAt(file, 0, HEADER_BYTES);
  const key = keyOf(generationOf(header));
  const plainBytes = plainSize((await file.stat()).size);
  const open = chunkOpener(key, place, { header, plainBytes });
  return {
    plainBytes,
    async *read({ start, end }) {
      const last = Math.floor(Math.max(start, end - 1) / CHUNK_BYTES);
      for (let i = Math.floor(start / CHUNK_BYTES); i <= last; i += 1) {
        const sealed = await readAt(
          file,
          HEADER_BYTES + i * SEALED_CHUNK_BYTES,
          SEALED_CHUNK_BYTES,
        );
        const chunkStart = i * CHUNK_BYTES;
        yield open(i, sealed).subarray(Math.max(0, start - chunkStart), end - chunkStart);
      }
    },
  };
}

function chunkOpener(
  key: Uint8Array,
  place: string,
  { header, plainBytes }: { header: Buffer; plainBytes: number },
): (index: number, sealed: Uint8Array) => Buffer {
  const content = contentKey(key, place, header);
  const lastIndex = chunkCount(plainBytes) - 1;
  return (index, sealed) => {
    const tagAt = sealed.length - TAG_BYTES;
    if (tagAt < 0) throw new UnsealError('a sealed file is cut off');
    const decipher = createDecipheriv(CIPHER, content, nonceOf(header, index, index === lastIndex));
    decipher.setAuthTag(sealed.subarray(tagAt));
    try {
      return Buffer.concat([decipher.update(sealed.subarray(0, tagAt)), decipher.final()]);
    } catch (cause) {
      throw new UnsealError('a sealed file is damaged, or belongs elsewhere', { cause });
    }
  };
}

/** The header is part of what the key comes from: another one opens nothing. */
function contentKey(key: Uint8Array, place: string, header: Buffer): Buffer {
  return deriveKey(key, `attune file v1 ${place}`, header);
}

function nonceOf(header: Buffer, index: number, isLast: boolean): Buffer {
  const prefix = header.subarray(HEADER_BYTES - PREFIX_BYTES);
  return Buffer.concat([prefix, uint32(index), Buffer.from([isLast ? 1 : 0])]);
}

/** An empty text is one empty chunk. */
function chunkCount(plainBytes: number): number {
  return Math.max(1, Math.ceil(plainBytes / CHUNK_BYTES));
}

function plainSize(sealedBytes: number): number {
  const body = sealedBytes - HEADER_BYTES;
  const chunks = Math.ceil(body / SEALED_CHUNK_BYTES);
  const plainBytes = body - chunks * TAG_BYTES;
  if (chunks < 1 || plainBytes < 0) throw new UnsealError('a sealed file is cut off');
  return plainBytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await file.read(bytes, 0, length, offset);
  return bytes.subarray(0, bytesRead);
}
