// From an adapter's folder to its image in memory, with every check that keeps a wrong or damaged adapter from speaking.

import { join } from 'node:path';
import { PEFT_FILES, readPeftFolder } from '../adapters/peft.ts';
import { AppError } from '../lib/errors.ts';
import { sha256File } from '../lib/sha256.ts';
import type { Base } from '../model/base-package.ts';
import type { LoraAdapter } from '../model/lora.ts';
import { type AdapterImage, adapterImage } from './adapter-image.ts';
import type { AdapterFolder } from './engine-protocol.ts';

const [, TENSORS_FILE] = PEFT_FILES;

/** Reads an adapter. Throws when its bytes are not those its name promises, when a tensor is missing, misshapen, unknown or
 *  not finite, when it belongs to another base, and when it would change nothing. */
export async function loadAdapter(folder: AdapterFolder, base: Base): Promise<AdapterImage> {
  const path = join(folder.dir, TENSORS_FILE);
  const actual = await sha256File(path);
  if (actual !== folder.sha256)
    throw new AppError('INTERNAL', `${path} has SHA-256 ${actual}, expected ${folder.sha256}`);
  const adapter = await readPeftFolder(folder.dir, base);
  if (changesNothing(adapter))
    throw new AppError('INTERNAL', `adapter ${folder.sha256} changes nothing: all its B are zero`);
  return adapterImage(base.config, adapter);
}

function changesNothing({ tensors }: LoraAdapter): boolean {
  return tensors.every(({ b }) => b.every((value) => value === 0));
}
