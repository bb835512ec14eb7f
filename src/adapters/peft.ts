// The canonical form of an adapter: a folder as Hugging Face's PEFT writes and reads it.
// Nothing in it depends on the user, the version or the clock, so equal adapters have equal bytes.
// It knows nothing of databases or stores.

import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError, must } from '../lib/errors.ts';
import { sha256 } from '../lib/sha256.ts';
import { badFile } from '../model/bad-file.ts';
import type { LlamaConfig } from '../model/llama-config.ts';
import {
  type LoraAdapter,
  type LoraPlace,
  type LoraShape,
  linearName,
  loraPlaces,
} from '../model/lora.ts';
import { readSafetensors, type Safetensors } from '../model/safetensors.ts';
import { encodeSafetensors, type TensorData } from '../model/safetensors-writer.ts';
import { encodePeftConfig, parsePeftConfig } from './peft-config.ts';

/** The two files of a PEFT folder. */
export const PEFT_FILES = ['adapter_config.json', 'adapter_model.safetensors'] as const;
const [CONFIG_FILE, TENSORS_FILE] = PEFT_FILES;

/** What an adapter needs to know of the base it belongs to. */
export interface AdapterBase {
  readonly sha256: string;
  readonly config: LlamaConfig;
}

/** A written file. */
export interface PeftFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

// Where the tensors file records its base; PEFT ignores metadata that it does not know.
const BASE_KEY = 'base_sha256';

/** Writes the folder, which appears whole or not at all; `dir` must not exist yet. */
export async function writePeftFolder(
  dir: string,
  adapter: LoraAdapter,
  base: AdapterBase & { readonly name: string },
): Promise<readonly PeftFile[]> {
  const contents = {
    [CONFIG_FILE]: Buffer.from(encodePeftConfig(adapter.shape, base.name)),
    [TENSORS_FILE]: encodePeftTensors(adapter, base),
  };
  await mkdir(dirname(dir), { recursive: true });
  const scratch = await mkdtemp(join(dirname(dir), `.${basename(dir)}-`));
  try {
    for (const name of PEFT_FILES) await writeFile(join(scratch, name), contents[name]);
    await rename(scratch, dir);
  } catch (error) {
    await rm(scratch, { recursive: true, force: true });
    throw new Error(`could not write the adapter folder ${dir}`, { cause: error });
  }
  return PEFT_FILES.map((name) => ({
    name,
    sizeBytes: contents[name].length,
    sha256: sha256(contents[name]),
  }));
}

/** Bytes of adapter_model.safetensors. */
function encodePeftTensors({ shape, tensors }: LoraAdapter, base: AdapterBase): Uint8Array {
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

/** Reads a folder that we or PEFT wrote (F32, F16 or BF16).
 *  Throws BAD_INPUT naming file and tensor when one is missing, misshapen, superfluous or not finite, when the rank is
 *  above MAX_LORA_RANK, when the config is of another kind of adapter, or when the adapter names another base. */
export async function readPeftFolder(dir: string, base: AdapterBase): Promise<LoraAdapter> {
  const configPath = join(dir, CONFIG_FILE);
  const shape = parsePeftConfig(await readText(configPath), base.config, configPath);
  const path = join(dir, TENSORS_FILE);
  const file = openTensors(path);
  const trainedOn = file.metadata[BASE_KEY];
  if (trainedOn !== undefined && trainedOn !== base.sha256)
    throw badFile(
      `${path} was trained on base ${trainedOn}, which is not the one in use, ${base.sha256}`,
    );
  return { shape, tensors: readTensors(file, { shape, path, config: base.config }) };
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
  if (String(entry.shape) !== String(shape))
    throw badFile(`${path}, tensor ${name}: its shape is [${entry.shape}], expected [${shape}]`);
  const values = file.read(name);
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw badFile(`${path}, tensor ${name}: element ${bad} is ${values[bad]}`);
  return values;
}

function tensorName({ layer, module }: LoraPlace, part: 'A' | 'B'): string {
  return `base_model.model.${linearName(layer, module)}.lora_${part}.weight`;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw badFile(`${path} cannot be read`, error);
  }
}

function openTensors(path: string): Safetensors {
  try {
    return readSafetensors(path);
  } catch (error) {
    // a damaged file has been named already; what is left is one that is not there
    throw error instanceof AppError ? error : badFile(`${path} cannot be read`, error);
  }
}
