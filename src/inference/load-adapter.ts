// From an adapter's folder to its image in memory, with every check that keeps a wrong or damaged adapter from speaking.

import { join } from 'node:path';
import { PEFT_FILES, readPeftFolder } from '../adapters/peft.ts';
import { sha256File } from '../lib/sha256.ts';
import type { Base } from '../model/base-package.ts';
import type { LoraAdapter } from '../model/lora.ts';
import { type AdapterImage, adapterImage } from './adapter-image.ts';
import type { AdapterFolder } from './engine-protocol.ts';

const [, TENSORS_FILE] = PEFT_FILES;

/** Reads an adapter. Throws when its bytes are not those its name promises, when a tensor is missing, misshapen, unknown or
 *  not finite, when it belongs to another base, and when it would change nothing. None of that is the asking user's to
 *  mend, and messages name files: so it is never an AppError. */
export async function loadAdapter(folder: AdapterFolder, base: Base): Promise<AdapterImage> {
  try {
    return adapterImage(base.config, await readAdapter(folder, base));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`adapter ${folder.sha256} cannot be used: ${reason}`, { cause });
  }
}

async function readAdapter({ dir, sha256 }: AdapterFolder, base: Base): Promise<LoraAdapter> {
  const path = join(dir, TENSORS_FILE);
  const actual = await sha256File(path);
  if (actual !== sha256) throw new Error(`${path} has SHA-256 ${actual}`);
  const adapter = await readPeftFolder(dir, base);
  if (changesNothing(adapter)) throw new Error(`it changes nothing: all B in ${path} are zero`);
  return adapter;
}

function changesNothing({ tensors }: LoraAdapter): boolean {
  return tensors.every(({ b }) => b.every((value) => value === 0));
}
