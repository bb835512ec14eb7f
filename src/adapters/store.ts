// The adapters' bytes: a folder per adapter, named by the SHA-256 of its tensors, there and whole or not there at all.
// Knows nothing of users: who may read which bytes is a question for SQL.

import { randomUUID } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { StoredFile } from '../db/schema.ts';
import { sync } from '../lib/atomic-file.ts';
import { must } from '../lib/errors.ts';
import { nullIfMissing } from '../lib/null-if-missing.ts';
import { sha256File } from '../lib/sha256.ts';
import { TENSORS_FILE, WIRE_FILE } from '../model/lora-wire.ts';
import { LINEAGE_FILE } from './lineage.ts';
import { PEFT_FILES } from './peft-content.ts';
import { encodeWireFile } from './wire-file.ts';

const SHA256 = /^[0-9a-f]{64}$/;

/** Unfinished folders begin so; none is worked on for longer than this. */
export const UNFINISHED = '.unfinished-';
const UNFINISHED_MAX_AGE_MS = 60 * 60 * 1000;

/** Adapters whose last check is remembered, about 200 bytes each. */
const MAX_REMEMBERED = 10_000;

/** What an adapter folder contains. */
export interface StoredAdapter {
  /** SHA-256 of adapter_model.safetensors: the adapter's name. */
  readonly sha256: string;
  readonly files: readonly StoredFile[];
}

/** Keeps adapter folders under the hash of their tensors. */
export interface AdapterStore {
  /** Copies a PEFT folder into the store and returns its name. Nothing is left behind when it fails, such as on a full
   *  disk. Storing the same bytes again changes nothing, except that it mends a damaged copy. */
  put(peftFolder: string): Promise<StoredAdapter>;
  /** Where the folder of that name is, or would be. */
  pathOf(sha256: string): string;
  /** Whether the folder is there and its tensors still have the hash that names them (reads them whole). */
  isIntact(sha256: string): Promise<boolean>;
  /** Whether its bytes may be handed out: as isIntact, which is asked again only when the file's time or size changes. */
  isServable(sha256: string): Promise<boolean>;
}

/** Opens the store in a folder, which processes may share, and clears what a killed process left unfinished.
 *  `copyFolder` is how bytes reach the disk; a test puts a full disk in its place. */
export async function openAdapterStore(
  blobDir: string,
  copyFolder: (from: string, to: string) => Promise<void> = copyPeftFolder,
): Promise<AdapterStore> {
  const root = join(blobDir, 'adapters');
  await mkdir(root, { recursive: true });
  await clearUnfinished(root);
  const pathOf = (name: string) => {
    if (!SHA256.test(name)) throw new Error(`must hold: ${JSON.stringify(name)} is a SHA-256`);
    return join(root, name);
  };
  const isIntact = async (name: string) => (await hashTensors(pathOf(name))) === name;
  return {
    pathOf,
    isIntact,
    isServable: rememberIntact(isIntact, (name) => join(pathOf(name), TENSORS_FILE)),
    put: async (peftFolder) => {
      const unfinished = join(root, `${UNFINISHED}${randomUUID()}`);
      try {
        await copyFolder(peftFolder, unfinished);
        await addWireFile(unfinished);
        return await adopt(unfinished, pathOf);
      } catch (error) {
        await rm(unfinished, { recursive: true, force: true });
        const reason = error instanceof Error ? error.message : String(error);
        throw new Error(`cannot store the adapter of ${peftFolder} in ${root}: ${reason}`, {
          cause: error,
        });
      }
    },
  };
}

/** Asks `isIntact` once for every time and size of the file. */
function rememberIntact(
  isIntact: (name: string) => Promise<boolean>,
  pathOf: (name: string) => string,
): (name: string) => Promise<boolean> {
  const intact = new Map<string, string>();
  return async (name) => {
    const file = await stat(pathOf(name)).catch(nullIfMissing);
    const state = file && `${file.size} ${file.mtimeMs}`;
    if (state === null || intact.get(name) === state) return state !== null;
    if (!(await isIntact(name))) return false;
    const [oldest] = intact.keys();
    if (intact.size >= MAX_REMEMBERED && oldest !== undefined) intact.delete(oldest);
    intact.set(name, state);
    return true;
  };
}

async function copyPeftFolder(from: string, to: string): Promise<void> {
  await mkdir(to);
  for (const name of await filesIn(from)) {
    await cp(join(from, name), join(to, name));
    await sync(join(to, name));
  }
  await sync(to);
}

async function addWireFile(folder: string): Promise<void> {
  const wire = encodeWireFile(await readFile(join(folder, TENSORS_FILE)));
  if (wire === null) return;
  await writeFile(join(folder, WIRE_FILE), wire);
  await sync(join(folder, WIRE_FILE));
  await sync(folder);
}

/** The names of the files of an adapter that a folder has: the two of PEFT must be there. */
async function filesIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder);
  return [...PEFT_FILES, ...[LINEAGE_FILE, WIRE_FILE].filter((name) => names.includes(name))];
}

/** Gives a complete folder its name, which comes from the bytes that were written, not from those that were read. */
async function adopt(
  unfinished: string,
  pathOf: (sha256: string) => string,
): Promise<StoredAdapter> {
  const files = await describeFiles(unfinished);
  const tensors = files.find(({ name }) => name === TENSORS_FILE);
  const { sha256 } = must(tensors, `${TENSORS_FILE} is one of the files of an adapter`);
  const path = pathOf(sha256);
  if (!(await renameIfFree(unfinished, path))) {
    if ((await hashTensors(path)) === sha256) {
      const stored = await describeFiles(path);
      checkSameConfig(path, files, stored);
      await rm(unfinished, { recursive: true });
      return { sha256, files: stored };
    }
    await rm(path, { recursive: true });
    await rename(unfinished, path);
  }
  await sync(dirname(path));
  return { sha256, files };
}

/** False when a folder of that name is there already. */
async function renameIfFree(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
    throw error;
  }
}

/** The tensors alone name the folder, so another config beside the same tensors would go under a wrong name. Lineages may
 *  differ, such as by the version of the code: the first one stays. */
function checkSameConfig(
  path: string,
  files: readonly StoredFile[],
  stored: readonly StoredFile[],
): void {
  const isPeft = ({ name }: StoredFile) => PEFT_FILES.some((one) => one === name);
  const other = files.filter(isPeft).find((file, i) => stored[i]?.sha256 !== file.sha256);
  if (other !== undefined) throw new Error(`${path} has another ${other.name} for these tensors`);
}

async function describeFiles(folder: string): Promise<StoredFile[]> {
  const names = await filesIn(folder);
  return Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      return { name, sizeBytes: (await stat(path)).size, sha256: await sha256File(path) };
    }),
  );
}

/** Null when there are no tensors. */
async function hashTensors(folder: string): Promise<string | null> {
  try {
    return await sha256File(join(folder, TENSORS_FILE));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function clearUnfinished(root: string): Promise<void> {
  const names = (await readdir(root)).filter((name) => name.startsWith(UNFINISHED));
  for (const path of names.map((name) => join(root, name))) {
    // a younger one may belong to another server that shares the folder
    const ageMs = Date.now() - (await stat(path)).mtimeMs;
    if (ageMs > UNFINISHED_MAX_AGE_MS) await rm(path, { recursive: true, force: true });
  }
}
