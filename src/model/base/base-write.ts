// Turns a checkpoint into the canonical files of a base package, one tensor in memory at a time.

import { createHash } from 'node:crypto';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sync, writeFileAtomically } from '../../lib/atomic-file.ts';
import { canonicalJson, type Json } from '../../lib/canonical-json.ts';
import { must } from '../../lib/errors.ts';
import { sha256 } from '../../lib/sha256.ts';
import { badFile } from '../bad-file.ts';
import type { LlamaCheckpoint } from '../checkpoint.ts';
import { toHfConfig } from '../hf/hf-config.ts';
import { llamaTensors } from '../llama-config.ts';
import { planHeader, type TensorShape } from '../safetensors/safetensors-writer.ts';
import { type BaseFile, encodeManifest, MANIFEST_NAME } from './base-package.ts';

/** Memory maps start at page boundaries, so numbers that do can be mapped by ONNX Runtime as they are. */
const PAGE_BYTES = 4096;

/** Follows the writing; throw from it to stop. */
export type WriteProgress = (doneBytes: number, totalBytes: number) => void;

/** Writes the package's files into an existing empty folder, the manifest last, all of them synced to the disk.
 *  Returns the base's hash. Throws BAD_INPUT when a tensor is missing, misshapen or not finite. */
export async function writeBase(
  checkpoint: LlamaCheckpoint,
  dir: string,
  onProgress: WriteProgress,
): Promise<string> {
  const files = [
    await writeJson(dir, 'config.json', toHfConfig(checkpoint.config)),
    await writeJson(dir, 'tokenizer.json', checkpoint.tokenizerJson),
    await writeJson(dir, 'tokenizer_config.json', checkpoint.tokenizerConfig),
    await writeWeights(dir, checkpoint, onProgress),
  ];
  const { text, sha256: hash } = encodeManifest(checkpoint.name, files);
  await writeFileAtomically(join(dir, MANIFEST_NAME), text);
  return hash;
}

async function writeJson(dir: string, name: string, json: Json): Promise<BaseFile> {
  const text = canonicalJson(json);
  await writeFile(join(dir, name), text);
  await sync(join(dir, name));
  return { name, sizeBytes: Buffer.byteLength(text), sha256: sha256(text) };
}

async function writeWeights(
  dir: string,
  checkpoint: LlamaCheckpoint,
  onProgress: WriteProgress,
): Promise<BaseFile> {
  const name = 'model.safetensors';
  const shapes = new Map<string, TensorShape>();
  for (const [tensor, shape] of llamaTensors(checkpoint.config))
    shapes.set(tensor, { dtype: 'F32', shape });
  const { header, names } = planHeader(shapes, { format: 'pt' }, PAGE_BYTES);
  const totalBytes = names.reduce(
    (sum, tensor) => sum + byteLength(must(shapes.get(tensor), tensor)),
    header.length,
  );
  const hash = createHash('sha256').update(header);
  const file = await open(join(dir, name), 'wx');
  try {
    await file.writeFile(header);
    let doneBytes = header.length;
    for (const tensor of names) {
      const bytes = tensorBytes(checkpoint, tensor, must(shapes.get(tensor), tensor));
      hash.update(bytes);
      await file.writeFile(bytes);
      doneBytes += bytes.length;
      onProgress(doneBytes, totalBytes);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { name, sizeBytes: totalBytes, sha256: hash.digest('hex') };
}

function byteLength({ shape }: TensorShape): number {
  return shape.reduce((product, size) => product * size, Float32Array.BYTES_PER_ELEMENT);
}

function tensorBytes(checkpoint: LlamaCheckpoint, name: string, shape: TensorShape): Uint8Array {
  const numbers = checkpoint.tensor(name);
  if (numbers.byteLength !== byteLength(shape))
    throw badFile(
      `${checkpoint.name}, tensor ${name}: ${numbers.length} numbers, expected [${shape.shape}]`,
    );
  const at = numbers.findIndex((number) => !Number.isFinite(number));
  if (at >= 0) throw badFile(`${checkpoint.name}, tensor ${name}: number ${at} is ${numbers[at]}`);
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}
