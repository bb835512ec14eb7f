// The file in which an adapter's tensors travel to devices, made from the canonical one where that loses nothing.

import { AppError } from '../lib/errors.ts';
import type { LlamaConfig } from '../model/llama-config.ts';
import { type LoraShape, loraPlaces, loraSize } from '../model/lora/lora.ts';
import {
  decodeLoraWire,
  encodeLoraWire,
  type LoraWireHeader,
  quantiseExactly,
  wireMatrices,
} from '../model/lora/lora-wire.ts';
import { parseSafetensors, type Safetensors } from '../model/safetensors/safetensors-tensors.ts';

/** Longest header of a wire form that this server makes, and any SDK of ours. */
const MAX_HEADER_BYTES = 4_096;

/** How large the wire form of an adapter of this shape can be, in bytes. */
export function loraWireBytes(
  config: LlamaConfig,
  shape: LoraShape,
): { readonly least: number; readonly most: number } {
  const scales = 4 * shape.rank * 2 * loraPlaces(config, shape).length;
  const least = scales + loraSize(config, shape);
  return { least, most: least + MAX_HEADER_BYTES };
}

const A_NAME = /^base_model\.model\.model\.layers\.(\d+)\.([a-z_.]+)\.lora_A\.weight$/;

/** The wire form of adapter_model.safetensors; null where decoding it would not give these very bytes: what was trained
 *  elsewhere holds numbers of any kind. */
export function encodeWireFile(tensorsFile: Uint8Array): Uint8Array | null {
  const file = parsed(tensorsFile);
  const header = file && headerOf(file);
  if (!file || !header) return null;
  const coded = wireMatrices(header).map((matrix) => {
    const entry = file.tensors.get(matrix.name);
    const fits = entry?.dtype === 'F32' && String(entry.shape) === String(matrix.shape);
    return fits ? quantiseExactly(file.read(matrix.name), matrix) : null;
  });
  const exact = coded.flatMap((one) => one ?? []);
  if (exact.length < coded.length) return null;
  const wire = encodeLoraWire(
    header,
    exact.map(({ scales }) => scales),
    exact.map(({ numbers }) => numbers),
  );
  return areEqual(decodeLoraWire(wire), tensorsFile) ? wire : null;
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  // ten million bytes: a function for each of them takes a second
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

function parsed(bytes: Uint8Array): Safetensors | null {
  try {
    return parseSafetensors(bytes, 'the adapter');
  } catch (error) {
    // not a safetensors file: who uses it will say so
    if (error instanceof AppError) return null;
    throw error;
  }
}

/** Null when the file has no matrix of an adapter. */
function headerOf({ tensors, metadata }: Safetensors): LoraWireHeader | null {
  const layers = new Set<number>();
  const modules = new Map<string, readonly [string, number, number]>();
  let rank = 0;
  for (const [name, { shape }] of tensors) {
    const [, layer, module = ''] = A_NAME.exec(name) ?? [];
    if (layer === undefined) continue;
    const [rows = 0, inSize = 0] = shape;
    const outSize = tensors.get(name.replace('lora_A', 'lora_B'))?.shape[0] ?? 0;
    layers.add(Number(layer));
    modules.set(module, [module, inSize, outSize]);
    rank = rows;
  }
  if (rank === 0) return null;
  const inOrder = [...layers].sort((a, b) => a - b);
  const named = [...modules.values()].sort(([a], [b]) => (a < b ? -1 : 1));
  return { format: 'attune-lora-int8-v1', metadata, rank, layers: inOrder, modules: named };
}
