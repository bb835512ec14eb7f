import { createWriteStream } from 'node:fs';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Entry, openPromise, type ZipFile } from 'yauzl';
import { badFile } from '../bad-file.ts';

/** Follows the unpacking. */
export interface UnzipOptions {
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Unpacks one entry of a zip archive into a new file. Throws BAD_INPUT when the archive is damaged, has no such entry, or
 *  announces another size than `sizeBytes`; more bytes than announced are never written. */
export async function unzipEntry(
  zipPath: string,
  entryName: string,
  target: { readonly path: string; readonly sizeBytes: number },
  { onProgress, signal }: UnzipOptions,
): Promise<void> {
  const zip = await openZip(zipPath);
  try {
    const entry = await findEntry(zip, entryName);
    if (entry === null) throw badFile(`${zipPath} has no entry ${entryName}`);
    if (entry.uncompressedSize !== target.sizeBytes)
      throw badFile(
        `${zipPath}, ${entryName}: ${entry.uncompressedSize} bytes, expected ${target.sizeBytes}`,
      );
    let doneBytes = 0;
    const count = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        doneBytes += chunk.length;
        onProgress?.(doneBytes, target.sizeBytes);
        done(null, chunk);
      },
    });
    const content = await zip.openReadStreamPromise(entry);
    await pipeline(content, count, createWriteStream(target.path), ...(signal ? [{ signal }] : []));
  } finally {
    zip.close();
  }
}

async function openZip(path: string): Promise<ZipFile> {
  try {
    return await openPromise(path, { lazyEntries: true, autoClose: false });
  } catch (error) {
    throw badFile(`${path} is not a zip archive: cut off or damaged`, error);
  }
}

async function findEntry(zip: ZipFile, name: string): Promise<Entry | null> {
  for await (const entry of zip.eachEntry()) {
    if (entry.fileName === name) return entry;
  }
  return null;
}
