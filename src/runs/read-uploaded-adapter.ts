// The bytes of an uploaded adapter as what they are to be, or the reason why they are not.

import { encodePeftConfig } from '../adapters/peft-config.ts';
import { parsePeft } from '../adapters/peft-content.ts';
import { AppError } from '../lib/errors.ts';
import { badFile } from '../model/bad-file.ts';
import type { Base } from '../model/base/base-package.ts';
import type { LoraAdapter, LoraShape, LoraTensor } from '../model/lora/lora.ts';
import { decodeLoraWire } from '../model/lora/lora-wire.ts';
import { parseSafetensors } from '../model/safetensors/safetensors-tensors.ts';

/** The largest update of one linear layer, as a bound on its Frobenius norm: |alpha / rank| |A| |B|. Numbers that make
 *  products overflow, or the base's own weights vanish beside them, are no training's. */
const MAX_UPDATE_NORM = 100;

/** Reads the wire form of an adapter of this shape. Throws BAD_INPUT for anything else: a damaged file, other tensors or
 *  sizes, another base, a number that is none, or an update that is too large. */
export function readUploadedAdapter(bytes: Uint8Array, shape: LoraShape, base: Base): LoraAdapter {
  const label = 'the upload';
  const tensors = parseSafetensors(unpacked(bytes), label);
  if (tensors.metadata.base_sha256 !== base.sha256)
    throw new AppError('BAD_INPUT', `${label} does not name the base ${base.sha256}`);
  const configText = encodePeftConfig(shape, base.name);
  const content = { configText, configLabel: label, tensors, tensorsLabel: label };
  const adapter = parsePeft(content, base);
  const tooLarge = adapter.tensors.find((one) => !(updateNorm(one, shape) <= MAX_UPDATE_NORM));
  if (tooLarge === undefined) return adapter;
  const norm = updateNorm(tooLarge, shape).toFixed(1);
  const { layer, module } = tooLarge;
  const where = `layer ${layer}, ${module}`;
  throw new AppError('BAD_INPUT', `${label} changes ${where} by ${norm}, over ${MAX_UPDATE_NORM}`);
}

function unpacked(bytes: Uint8Array): Uint8Array {
  try {
    return decodeLoraWire(bytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw badFile(error.message, error);
  }
}

/** An upper bound of the update's Frobenius norm. */
function updateNorm({ a, b }: LoraTensor, { alpha, rank }: LoraShape): number {
  return (alpha / rank) * length(a) * length(b);
}

function length(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}
