// From an adapter's folder to its image in memory, with every check that keeps a wrong or damaged adapter from speaking.

import { join } from 'node:path';
import { readPeftFolder } from '../adapters/peft.ts';
import { PEFT_FILES, parseCoded } from '../adapters/peft-content.ts';
import { sha256 } from '../lib/sha256.ts';
import type { Base } from '../model/base/base-package.ts';
import { WIRE_FILE } from '../model/lora/lora-wire.ts';
import { nullIfUnread, readFileIn } from '../sealing/private-folder.ts';
import { AdapterError } from './adapter-error.ts';
import { Canary } from './canary.ts';
import { type AdapterImage, adapterImage } from './core/adapter-image.ts';
import type { ModelRunner } from './core/model-runner.ts';
import type { AdapterFolder } from './engine-protocol.ts';

const [CONFIG_FILE] = PEFT_FILES;

/** Adapters whose canary is remembered, about 100 bytes each: the same bytes give the same logits. */
const MAX_PROVEN = 100_000;

/** Loads an adapter. Throws AdapterError when its bytes are not those its name promises, when a tensor is missing,
 *  misshapen, unknown or not finite, when the rank is too large, when it belongs to another base, and when the model
 *  answers with it as without it or not at all. */
export type LoadAdapter = (folder: AdapterFolder) => Promise<AdapterImage>;

/** Makes the loader of one base's adapters; the runner runs that base. */
export function adapterLoader(base: Base, runner: ModelRunner): LoadAdapter {
  const canary = new Canary(runner, base.config);
  const proven = new Set<string>();
  return async (folder) => {
    try {
      const image = await readImage(folder, base);
      if (!proven.has(folder.sha256)) await canary.check(image);
      if (proven.size < MAX_PROVEN) proven.add(folder.sha256);
      return image;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new AdapterError(reason, { sha256: folder.sha256, cause });
    }
  };
}

async function readImage(folder: AdapterFolder, base: Base): Promise<AdapterImage> {
  const stored =
    (await readCoded(folder, base)) ?? (await readPeftFolder(folder, base, folder.sha256));
  return adapterImage(base.config, stored);
}

/** The adapter from the file that travels to devices: the same numbers in a quarter of the bytes. Null where there is none
 *  or its bytes are not the promised ones: the file that names the adapter may be whole. */
async function readCoded(folder: AdapterFolder, base: Base) {
  if (folder.wireSha256 === undefined) return null;
  const wire = await readFileIn(folder, WIRE_FILE).catch(nullIfUnread);
  if (wire === null || sha256(wire) !== folder.wireSha256) return null;
  const config = await readFileIn(folder, CONFIG_FILE).catch(nullIfUnread);
  if (config === null) return null;
  const [wireLabel, configLabel] = [join(folder.dir, WIRE_FILE), join(folder.dir, CONFIG_FILE)];
  return parseCoded({ configText: config.toString(), configLabel, wire, wireLabel }, base);
}
