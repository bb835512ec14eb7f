// The canonical form of an adapter: a folder as Hugging Face's PEFT writes and reads it.
// Nothing in it depends on the user, the version or the clock, so equal adapters have equal bytes.
// It knows nothing of databases or stores.

import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { sha256 } from '../lib/sha256.ts';
import { badFile } from '../model/bad-file.ts';
import type { LoraAdapter } from '../model/lora/lora.ts';
import { parseSafetensors } from '../model/safetensors/safetensors-tensors.ts';
import { dirOf, type Folder, readFileIn, writeFileIn } from '../sealing/private-folder.ts';
import { encodeLineage, LINEAGE_FILE, type Lineage } from './lineage.ts';
import { encodePeftConfig } from './peft-config.ts';
import { type AdapterBase, encodePeftTensors, PEFT_FILES, parsePeft } from './peft-content.ts';

const [CONFIG_FILE, TENSORS_FILE] = PEFT_FILES;

/** A written file. */
export interface PeftFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** Writes the folder, which appears whole or not at all; it must not exist yet. The lineage, if there is one, goes
 *  beside the two files of PEFT. Sizes and hashes are those of the plain bytes. */
export async function writePeftFolder(
  folder: Folder,
  adapter: LoraAdapter,
  base: AdapterBase & { readonly name: string },
  lineage?: Lineage,
): Promise<readonly PeftFile[]> {
  const contents: readonly (readonly [string, Uint8Array])[] = [
    [CONFIG_FILE, Buffer.from(encodePeftConfig(adapter.shape, base.name))],
    [TENSORS_FILE, encodePeftTensors(adapter, base)],
    ...(lineage === undefined
      ? []
      : [[LINEAGE_FILE, Buffer.from(encodeLineage(lineage))] as const]),
  ];
  const dir = dirOf(folder);
  await mkdir(dirname(dir), { recursive: true });
  const scratch = await mkdtemp(join(dirname(dir), `.${basename(dir)}-`));
  try {
    const seal = typeof folder === 'string' ? undefined : folder.seal;
    for (const [name, bytes] of contents) await writeFileIn({ dir: scratch, seal }, name, bytes);
    await rename(scratch, dir);
  } catch (error) {
    await rm(scratch, { recursive: true, force: true });
    throw new Error(`could not write the adapter folder ${dir}`, { cause: error });
  }
  return contents.map(([name, bytes]) => ({
    name,
    sizeBytes: bytes.length,
    sha256: sha256(bytes),
  }));
}

/** Reads a folder that we or PEFT wrote, with the checks of `parsePeft`. The tensors' bytes are read once: those with
 *  `expectedSha256` are the very bytes that are used. Throws BAD_INPUT, also when that is not their SHA-256. */
export async function readPeftFolder(
  folder: Folder,
  base: AdapterBase,
  expectedSha256?: string,
): Promise<LoraAdapter> {
  const configLabel = join(dirOf(folder), CONFIG_FILE);
  const tensorsLabel = join(dirOf(folder), TENSORS_FILE);
  const configText = (await readBytes(folder, CONFIG_FILE)).toString();
  const bytes = await readBytes(folder, TENSORS_FILE);
  const actual = expectedSha256 && sha256(bytes);
  if (actual !== expectedSha256) throw badFile(`${tensorsLabel} has SHA-256 ${actual}`);
  // a Buffer's slices share its memory
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  const tensors = parseSafetensors(plain, tensorsLabel);
  return parsePeft({ configText, configLabel, tensors, tensorsLabel }, base);
}

async function readBytes(folder: Folder, name: string): Promise<Buffer> {
  try {
    return await readFileIn(folder, name);
  } catch (error) {
    throw badFile(`${join(dirOf(folder), name)} cannot be read`, error);
  }
}
