// A LoRA adapter as llama.cpp reads it: the tensors and keys of its convert_lora_to_gguf.py.

import { ggufName } from '../../src/model/gguf/gguf-checkpoint.ts';
import type { LlamaConfig } from '../../src/model/llama-config.ts';
import {
  type LoraAdapter,
  type LoraTensor,
  linearName,
  moduleSize,
} from '../../src/model/lora/lora.ts';
import {
  encodeGguf,
  type GgufTensorInput,
  type GgufValue,
} from '../../test/support/model/gguf-writer.ts';

const F32 = 0;

/** The bytes of the adapter's GGUF file. Its scale, alpha / rank, is llama.cpp's to apply. */
export function encodeLoraGguf(config: LlamaConfig, { shape, tensors }: LoraAdapter): Buffer {
  const metadata: (readonly [string, GgufValue])[] = [
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['general.type', { type: 'string', value: 'adapter' }],
    ['adapter.type', { type: 'string', value: 'lora' }],
    ['adapter.lora.alpha', { type: 'f32', value: shape.alpha }],
  ];
  return encodeGguf(
    metadata,
    tensors.flatMap((tensor) => encodeTensor(config, tensor, shape.rank)),
  );
}

function encodeTensor(config: LlamaConfig, tensor: LoraTensor, rank: number): GgufTensorInput[] {
  const { layer, module, a, b } = tensor;
  const size = moduleSize(config, module);
  const name = ggufName(`${linearName(layer, module)}.weight`);
  const isRotated = module === 'q_proj' || module === 'k_proj';
  const rows = isRotated ? pairsFromHalves(b, config.headSize, rank) : b;
  return [
    { name: `${name}.lora_a`, type: F32, shape: [rank, size.in], bytes: bytesOf(a) },
    { name: `${name}.lora_b`, type: F32, shape: [size.out, rank], bytes: bytesOf(rows) },
  ];
}

/** GGUF's order of the rows of q and k: row i and row i + D / 2 of a head become rows 2i and 2i + 1, since there rotary
 *  positions turn neighbours. f32[heads * D, R] */
function pairsFromHalves(rows: Float32Array, D: number, R: number): Float32Array {
  const out = new Float32Array(rows.length);
  for (let row = 0; row < rows.length / R; row += 1) {
    const inHead = row % D;
    const to = row - inHead + 2 * (inHead % (D / 2)) + Math.floor(inHead / (D / 2));
    out.set(rows.subarray(row * R, (row + 1) * R), to * R);
  }
  return out;
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
