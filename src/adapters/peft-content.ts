// The bytes of an adapter in PEFT's format, whoever keeps them: a server's folder or a device's storage.

import { must } from '../lib/errors.ts';
import { badFile } from '../model/bad-file.ts';
import type { LlamaConfig } from '../model/llama-config.ts';
import {
  type LoraAdapter,
  type LoraPlace,
  type LoraShape,
  linearName,
  loraPlaces,
  type StoredLora,
} from '../model/lora/lora.ts';
import { readLoraWire } from '../model/lora/lora-wire.ts';
import { parseSafetensors, type Safetensors } from '../model/safetensors/safetensors-tensors.ts';
import { encodeSafetensors, type TensorData } from '../model/safetensors/safetensors-writer.ts';
import { parsePeftConfig } from './peft-config.ts';

/** The two files of a PEFT folder. */
export const PEFT_FILES = ['adapter_config.json', 'adapter_model.safetensors'] as const;

/** What an adapter needs to know of the base it belongs to. */
export interface AdapterBase {
  readonly sha256: string;
  readonly config: LlamaConfig;
}

/** An adapter's two files, and what to call them in errors. */
export interface PeftContent {
  readonly configText: string;
  readonly tensors: Safetensors;
  readonly configLabel: string;
  readonly tensorsLabel: string;
}

// Where the tensors file records its base; PEFT ignores metadata that it does not know.
const BASE_KEY = 'base_sha256';

/** Bytes of adapter_model.safetensors. */
export function encodePeftTensors({ shape, tensors }: LoraAdapter, base: AdapterBase): Uint8Array {
  const places = loraPlaces(base.config, shape);
  const named = places.flatMap((place, i): [string, TensorData][] => {
    const { a, b } = must(tensors[i], 'a tensor for every place');
    return [
      [tensorName(place, 'A'), { dtype: 'F32', shape: [shape.rank, place.in], data: a }],
      [tensorName(place, 'B'), { dtype: 'F32', shape: [place.out, shape.rank], data: b }],
    ];
  });
  return encodeSafetensors(new Map(named), { format: 'pt', [BASE_KEY]: base.sha256 });
}

/** What we or PEFT wrote (F32, F16 or BF16).
 *  Throws BAD_INPUT naming file and tensor when one is missing, misshapen, superfluous or not finite, when the rank is
 *  above MAX_LORA_RANK, when the config is of another kind of adapter, or when the adapter names another base. */
export function parsePeft(content: PeftContent, base: AdapterBase): LoraAdapter {
  const { configText, configLabel, tensors: file, tensorsLabel: path } = content;
  const shape = parsePeftConfig(configText, base.config, configLabel);
  checkBase(file.metadata, base, path);
  return { shape, tensors: readTensors(file, { shape, path, config: base.config }) };
}

/** An adapter's config, and the file that travels to devices (lora-wire.ts). */
export interface CodedContent {
  readonly configText: string;
  readonly wire: Uint8Array;
  readonly configLabel: string;
  readonly wireLabel: string;
}

/** The same adapter from a quarter of the bytes, with the same checks. The numbers share the file's memory. */
export function parseCoded(content: CodedContent, base: AdapterBase): StoredLora {
  const { configText, configLabel, wire, wireLabel: path } = content;
  const shape = parsePeftConfig(configText, base.config, configLabel);
  const { header, matrices } = opened(wire, path);
  checkBase(header.metadata, base, path);
  const byName = new Map(matrices.map((matrix) => [matrix.name, matrix]));
  const places = loraPlaces(base.config, shape);
  if (byName.size !== 2 * places.length)
    throw badFile(`${path} has ${byName.size} tensors, its config ${2 * places.length}`);
  const read = (name: string, size: readonly number[]) => {
    const matrix = byName.get(name);
    if (matrix === undefined) throw badFile(`${path} lacks the tensor ${name}`);
    checkShape(matrix.shape, size, `${path}, tensor ${name}`);
    checkFinite(matrix.scales, `${path}, scales of tensor ${name}`);
    return matrix;
  };
  const tensors = places.map((place) => ({
    layer: place.layer,
    module: place.module,
    a: read(tensorName(place, 'A'), [shape.rank, place.in]),
    b: read(tensorName(place, 'B'), [place.out, shape.rank]),
  }));
  return { shape, tensors };
}

function opened(wire: Uint8Array, path: string): ReturnType<typeof readLoraWire> {
  try {
    return readLoraWire(wire);
  } catch (error) {
    if (error instanceof RangeError) throw badFile(`${path}: ${error.message}`, error);
    throw error;
  }
}

function checkBase(
  metadata: Readonly<Record<string, string>>,
  base: AdapterBase,
  path: string,
): void {
  const trainedOn = metadata[BASE_KEY];
  if (trainedOn !== undefined && trainedOn !== base.sha256)
    throw badFile(
      `${path} was trained on base ${trainedOn}, which is not the one in use, ${base.sha256}`,
    );
}

/** An adapter's two files. */
export interface AdapterContent {
  readonly config: string;
  readonly tensors: Uint8Array;
}

/** As parsePeft, of the files' bytes. */
export function readAdapterContent(content: AdapterContent, base: AdapterBase): LoraAdapter {
  const [configLabel, tensorsLabel] = PEFT_FILES;
  const tensors = parseSafetensors(content.tensors, tensorsLabel);
  return parsePeft({ configText: content.config, tensors, configLabel, tensorsLabel }, base);
}

function readTensors(
  file: Safetensors,
  { shape, path, config }: { shape: LoraShape; path: string; config: LlamaConfig },
): LoraAdapter['tensors'] {
  const places = loraPlaces(config, shape);
  const names = new Set(
    places.flatMap((place) => [tensorName(place, 'A'), tensorName(place, 'B')]),
  );
  const stranger = [...file.tensors.keys()].find((name) => !names.has(name));
  if (stranger !== undefined)
    throw badFile(`${path} has a tensor that its config does not: ${stranger}`);
  return places.map((place) => ({
    layer: place.layer,
    module: place.module,
    a: readTensor(file, tensorName(place, 'A'), [shape.rank, place.in], path),
    b: readTensor(file, tensorName(place, 'B'), [place.out, shape.rank], path),
  }));
}

function readTensor(
  file: Safetensors,
  name: string,
  shape: readonly number[],
  path: string,
): Float32Array {
  const entry = file.tensors.get(name);
  if (entry === undefined) throw badFile(`${path} lacks the tensor ${name}`);
  checkShape(entry.shape, shape, `${path}, tensor ${name}`);
  const values = file.read(name);
  checkFinite(values, `${path}, tensor ${name}`);
  return values;
}

function checkShape(actual: readonly number[], expected: readonly number[], label: string): void {
  if (String(actual) !== String(expected))
    throw badFile(`${label}: its shape is [${actual}], expected [${expected}]`);
}

function checkFinite(values: Float32Array, label: string): void {
  if (allFinite(values)) return;
  const bad = values.findIndex((value) => !Number.isFinite(value));
  throw badFile(`${label}: element ${bad} is ${values[bad]}`);
}

/** Zero times anything but a finite number is NaN. A tenth of the time of a call for each of some millions of numbers. */
function allFinite(values: Float32Array): boolean {
  let zero = 0;
  for (let i = 0; i < values.length; i += 1) zero += (values[i] as number) * 0;
  return zero === 0;
}

function tensorName({ layer, module }: LoraPlace, part: 'A' | 'B'): string {
  return `base_model.model.${linearName(layer, module)}.lora_${part}.weight`;
}
