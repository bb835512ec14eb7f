// The adapters' bytes: a folder per owner and adapter, named by the SHA-256 of its tensors, there and whole or not there at
// all. A user's files lie sealed under that user's data key, so two users with the same bytes have a copy each; what ships
// with a mode is nobody's and lies plain. Who may read which bytes is a question for SQL.

import { randomUUID } from 'node:crypto';
import { cp, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import type { StoredFile } from '../db/schema.ts';
import { sync } from '../lib/atomic-file.ts';
import { must } from '../lib/errors.ts';
import { nullIfMissing } from '../lib/null-if-missing.ts';
import { sha256 } from '../lib/sha256.ts';
import { TENSORS_FILE, WIRE_FILE } from '../model/lora/lora-wire.ts';
import {
  bytesFor,
  describeFileIn,
  dirOf,
  type Folder,
  type PrivateFolder,
  readFileIn,
  resealFileIn,
} from '../sealing/private-folder.ts';
import { UnsealError } from '../sealing/seal.ts';
import type { Vault } from '../sealing/vault.ts';
import { CheckedFiles } from './checked-files.ts';
import { LINEAGE_FILE } from './lineage.ts';
import { PEFT_FILES } from './peft-content.ts';
import { encodeWireFile } from './wire-file.ts';

const SHA256 = /^[0-9a-f]{64}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Unfinished folders begin so; none is worked on for longer than this. */
export const UNFINISHED = '.unfinished-';
const UNFINISHED_MAX_AGE_MS = 60 * 60 * 1000;

/** Whose adapter it is (null: everyone's, shipped with a mode), and the hash of its tensors; a row of the registry is one. */
export interface AdapterName {
  readonly userId: string | null;
  readonly sha256: string;
}

/** What an adapter folder contains. */
export interface StoredAdapter {
  /** SHA-256 of adapter_model.safetensors: the adapter's name. */
  readonly sha256: string;
  readonly files: readonly StoredFile[];
}

/** Keeps adapter folders under their owner and the hash of their tensors. Sizes and hashes are those of the plain bytes. */
export interface AdapterStore {
  /** Copies a PEFT folder into the store and returns its name. Nothing is left behind when it fails, such as on a full
   *  disk. Storing the same bytes again changes nothing, except that it mends a damaged copy. */
  put(peftFolder: Folder, userId: string | null): Promise<StoredAdapter>;
  /** Where the folder of that name is, or would be. */
  pathOf(name: AdapterName): string;
  /** The folder of that name and what opens its files. Throws when the owner has no keys any more. */
  folderOf(name: AdapterName): Promise<PrivateFolder>;
  /** Whether the folder is there and its tensors still have the hash that names them (reads them whole). */
  isIntact(name: AdapterName): Promise<boolean>;
  /** Whether its bytes may be handed out: as isIntact, which is asked again only when the file's time or size changes. */
  isServable(name: AdapterName): Promise<boolean>;
  /** Whether a file of the folder, if it is there, has the bytes that were stored; remembered as isServable is. */
  isWhole(name: AdapterName, file: StoredFile): Promise<boolean>;
  /** Removes the folder; one that is not there is removed already. */
  remove(name: AdapterName): Promise<void>;
  /** Removes every adapter of the user. */
  removeAll(userId: string): Promise<void>;
  /** The users' adapters that lie in this process's own folder. */
  copies(): Promise<readonly (AdapterName & { readonly userId: string })[]>;
  /** Removes the folder of that name from this process's own folder alone. */
  dropCopy(name: AdapterName): Promise<void>;
  /** Seals the files anew with the owner's newest data key, each as a whole or not yet. */
  reseal(name: AdapterName): Promise<void>;
  /** Takes over a copy of a folder as it lies on the disk, sealed as it is. */
  takeCopy(dir: string, name: AdapterName): Promise<void>;
  /** What lies plain: adapters that ship with modes, and the users' from before they were sealed. */
  plainNames(): Promise<readonly string[]>;
}

/** How bytes reach the disk; a test puts a full disk in its place. */
type WriteFile = (path: string, bytes: Uint8Array) => Promise<void>;

/** Opens the store in a folder, which processes may share, and clears what a killed process left unfinished. */
export async function openAdapterStore(
  blobDir: string,
  vault: Pick<Vault, 'keysOf'>,
  write: WriteFile = writeFile,
): Promise<AdapterStore> {
  const root = join(blobDir, 'adapters');
  await mkdir(root, { recursive: true });
  await clearUnfinished(root);
  const pathOf = (name: AdapterName) => join(root, ...placeOf(name));
  const folderOf = async (name: AdapterName): Promise<PrivateFolder> => {
    const dir = pathOf(name);
    if (name.userId === null) return { dir };
    const { fileKeys } = await vault.keysOf(name.userId);
    return { dir, seal: { place: `${name.userId} adapter ${name.sha256}`, keys: fileKeys } };
  };
  const isIntact = async (name: AdapterName) =>
    (await hashOf(await folderOf(name), TENSORS_FILE)) === name.sha256;
  const checked = new CheckedFiles();
  const isSame = async (name: AdapterName, file: NamedFile) => {
    const folder = await folderOf(name);
    const hash = () => hashOf(folder, file.name);
    return checked.ask(...checkOf(folder, file), async () => (await hash()) === file.sha256);
  };
  const remove = (name: AdapterName) => rm(pathOf(name), { recursive: true, force: true });
  return {
    pathOf,
    folderOf,
    isIntact,
    isServable: async (name) =>
      (await isSame(name, { name: TENSORS_FILE, sha256: name.sha256 })) === true,
    isWhole: async (name, file) => (await isSame(name, file)) !== false,
    put: async (peftFolder, userId) => {
      const unfinished = join(root, `${UNFINISHED}${randomUUID()}`);
      try {
        const files = await readPeftFolder(peftFolder);
        const name = { userId, sha256: sha256(tensorsOf(files)) };
        const target = await folderOf(name);
        const copy = { ...target, dir: unfinished };
        await writePeftFolder(files, copy, write);
        const stored = await adopt(copy, target, name.sha256);
        // they have just been read back: the first device to ask for them need not wait until they are read again
        for (const file of stored.files) await checked.note(...checkOf(target, file));
        return stored;
      } catch (error) {
        await rm(unfinished, { recursive: true, force: true });
        const reason = error instanceof Error ? error.message : String(error);
        throw new Error(`cannot store the adapter of ${dirOf(peftFolder)} in ${root}: ${reason}`, {
          cause: error,
        });
      }
    },
    remove,
    dropCopy: remove,
    copies: () => copiesIn(root),
    removeAll: (userId) => rm(join(root, folderOfUser(userId)), { recursive: true, force: true }),
    reseal: async (name) => {
      const folder = await folderOf(name);
      for (const file of await filesIn(folder.dir)) await resealFileIn(folder, file);
    },
    takeCopy: async (dir, name) => {
      const path = pathOf(name);
      await mkdir(dirname(path), { recursive: true });
      await cp(dir, path, { recursive: true });
      await sync(path);
    },
    plainNames: async () => (await readdir(root)).filter((name) => SHA256.test(name)),
  };
}

type NamedFile = Pick<StoredFile, 'name' | 'sha256'>;

/** Where a file is, and what it is to be. A check holds no longer than the keys that it was made with: a copy here that another
 *  process's rotation of keys has passed by does not open any more. */
function checkOf({ dir, seal }: PrivateFolder, file: NamedFile): [path: string, state: string] {
  const generations = (seal?.keys ?? []).map(({ generation }) => generation);
  return [join(dir, file.name), `${file.sha256} ${generations}`];
}

/** The folder of a name below the store's. */
export function placeOf({ userId, sha256: hash }: AdapterName): readonly string[] {
  if (!SHA256.test(hash)) throw new Error(`must hold: ${JSON.stringify(hash)} is a SHA-256`);
  return userId === null ? [hash] : [folderOfUser(userId), hash];
}

/** The folder of a user below the store's; one more per two digits, since long listings are slow on shared file systems. */
export function folderOfUser(userId: string): string {
  if (!UUID.test(userId)) throw new Error(`must hold: ${JSON.stringify(userId)} is a user's id`);
  return `users/${userId.slice(0, 2)}/${userId}`;
}

async function copiesIn(root: string) {
  const paths = await readdir(join(root, 'users'), { recursive: true }).catch(nullIfMissing);
  return (paths ?? []).flatMap((path) => {
    const [, userId = '', hash = '', ...file] = path.split(sep);
    return UUID.test(userId) && SHA256.test(hash) && file.length === 0
      ? [{ userId, sha256: hash }]
      : [];
  });
}

/** The files of an adapter by name. */
type PeftFiles = ReadonlyMap<string, Uint8Array>;

/** The files of an adapter, with the one that travels to devices where there can be one. */
async function readPeftFolder(from: Folder): Promise<PeftFiles> {
  const files = new Map<string, Uint8Array>();
  for (const name of await filesIn(dirOf(from))) files.set(name, await readFileIn(from, name));
  const wire = encodeWireFile(tensorsOf(files));
  return wire === null ? files : files.set(WIRE_FILE, wire);
}

function tensorsOf(files: PeftFiles): Uint8Array {
  return must(files.get(TENSORS_FILE), `an adapter has ${TENSORS_FILE}`);
}

/** Writes the files, sealed for their place. */
async function writePeftFolder(
  files: PeftFiles,
  to: PrivateFolder,
  write: WriteFile,
): Promise<void> {
  await mkdir(to.dir);
  const writing = [...files].map(async ([name, text]) => {
    await write(join(to.dir, name), bytesFor(to, name, text));
    await sync(join(to.dir, name));
  });
  // all have ended before anybody removes the folder
  for (const outcome of await Promise.allSettled(writing))
    if (outcome.status === 'rejected') throw outcome.reason;
  await sync(to.dir);
}

/** The names of the files of an adapter that a folder has: the two of PEFT must be there. */
async function filesIn(dir: string): Promise<readonly string[]> {
  const names = await readdir(dir);
  return [...PEFT_FILES, ...[LINEAGE_FILE, WIRE_FILE].filter((name) => names.includes(name))];
}

/** Gives a complete folder its name, after a look at the bytes that were written. */
async function adopt(
  copy: PrivateFolder,
  target: PrivateFolder,
  name: string,
): Promise<StoredAdapter> {
  const files = await describeFiles(copy);
  const tensors = must(
    files.find((file) => file.name === TENSORS_FILE),
    `${TENSORS_FILE} is one of the files of an adapter`,
  );
  if (tensors.sha256 !== name) throw new Error(`${TENSORS_FILE} was not written as it was read`);
  await mkdir(dirname(target.dir), { recursive: true });
  if (!(await renameIfFree(copy.dir, target.dir))) {
    if ((await hashOf(target, TENSORS_FILE)) === name) {
      const stored = await describeFiles(target);
      checkSameConfig(target.dir, files, stored);
      await rm(copy.dir, { recursive: true });
      return { sha256: name, files: stored };
    }
    await rm(target.dir, { recursive: true });
    await rename(copy.dir, target.dir);
  }
  await sync(dirname(target.dir));
  return { sha256: name, files };
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

async function describeFiles(folder: PrivateFolder): Promise<StoredFile[]> {
  const names = await filesIn(folder.dir);
  return Promise.all(
    names.map(async (name) => ({ name, ...(await describeFileIn(folder, name)) })),
  );
}

/** Null when there is no such file, or one that does not open. */
async function hashOf(folder: PrivateFolder, file: string): Promise<string | null> {
  try {
    return (await describeFileIn(folder, file)).sha256;
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (isMissing || error instanceof UnsealError) return null;
    throw error;
  }
}

async function clearUnfinished(root: string): Promise<void> {
  const names = (await readdir(root)).filter((name) => name.startsWith(UNFINISHED));
  for (const path of names.map((name) => join(root, name))) {
    // a younger one may belong to another server that shares the folder, and be finished meanwhile
    const found = await stat(path).catch(nullIfMissing);
    const isOld = found !== null && Date.now() - found.mtimeMs > UNFINISHED_MAX_AGE_MS;
    if (isOld) await rm(path, { recursive: true, force: true });
  }
}
