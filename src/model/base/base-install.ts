// Brings a model into the user's cache as a base package, once: from then on every clone and every process opens the same
// folder. Installing is serialised between processes; what an interrupted install leaves is swept by the next one.
//
//   <cacheDir>/models/<sha256>/    the packages
//   <cacheDir>/sources/<key>.json  which package a source became
//   <cacheDir>/downloads/          what was downloaded; may be deleted at any time

import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Blobs } from '../../blobs/blobs.ts';
import { sync, writeFileAtomically } from '../../lib/atomic-file.ts';
import { canonicalJson } from '../../lib/canonical-json.ts';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { holding, waitForFileLock } from '../../lib/file-lock.ts';
import { nullIfMissing } from '../../lib/null-if-missing.ts';
import { sha256 } from '../../lib/sha256.ts';
import type { Hub } from '../download/hub.ts';
import { PIP_COMMANDS, type PipCommand } from '../download/pip.ts';
import { DEFAULT_MODEL, type WheelModel } from '../download/wheel.ts';
import { type Base, DamagedBaseError, openBase, verifyBase } from './base-package.ts';
import { fetchShared, share } from './base-share.ts';
import {
  type InstallProgress,
  openSource,
  type SourceOptions,
  sourceIdentity,
} from './base-source.ts';
import { writeBase } from './base-write.ts';
import { type ModelReference, parseModelReference } from './model-reference.ts';

/** What to install and where. */
export interface InstallOptions {
  /** 'default', 'tiny', a path to a GGUF file or a Hugging Face folder, or 'organisation/name[@revision]' on a hub. */
  readonly model: string;
  readonly cacheDir: string;
  readonly hub?: Hub | undefined;
  readonly onProgress?: ((progress: InstallProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Compares the hash of every byte even when the package is there already. */
  readonly verify?: boolean;
  readonly clock?: Clock;
  /** Where packages are shared: taken from there if one is there, and put there if not. */
  readonly blobs?: Blobs | null;
  readonly pipCommands?: readonly PipCommand[];
  readonly defaultModel?: WheelModel;
}

/** Raised when a package made from the same source would differ: the sources recorded before no longer count. */
const CONVERSION_VERSION = 1;

/** Installs the model unless it is there, and opens it. A hub's branch is fetched once and then stays what it was; another
 *  revision is asked for by name. A damaged package is made anew.
 *  Throws UNAVAILABLE when the model cannot be fetched, NOT_FOUND when the hub has none of this name, BAD_INPUT when it is
 *  not a Llama checkpoint that we can read, and the signal's reason. */
export async function installBase(options: InstallOptions): Promise<Base> {
  const install = await prepare(options);
  const base = await installHere(options, install);
  if (install.blobs !== null) await share(install.blobs, basename(install.recordPath), base);
  return base;
}

async function installHere(options: InstallOptions, install: Install): Promise<Base> {
  const installed = await openInstalled(install);
  if (installed !== null) return installed;
  const lockPath = join(options.cacheDir, 'install.lock');
  const lock = await waitForFileLock(lockPath, install.clock, options.signal);
  // another process may have installed it while we waited
  return holding(lock, async () => (await openInstalled(install)) ?? (await installAnew(install)));
}

/** The base that installBase would give, if it is there already and whole; null otherwise. Fetches and writes nothing. */
export async function findBase(options: InstallOptions): Promise<Base | null> {
  return await openInstalled(await prepare(options));
}

async function prepare(options: InstallOptions): Promise<Install> {
  const reference = parseModelReference(options.model);
  const defaults = { clock: systemClock, pipCommands: PIP_COMMANDS, defaultModel: DEFAULT_MODEL };
  const source: SourceOptions = { ...defaults, ...options };
  return {
    ...source,
    reference,
    modelsDir: join(options.cacheDir, 'models'),
    recordPath: join(options.cacheDir, 'sources', await recordName(reference, source)),
    verify: options.verify ?? false,
    blobs: options.blobs ?? null,
  };
}

interface Install extends SourceOptions {
  readonly reference: ModelReference;
  readonly modelsDir: string;
  /** Names the package that this source became. */
  readonly recordPath: string;
  readonly verify: boolean;
  readonly blobs: Blobs | null;
}

async function recordName(reference: ModelReference, source: SourceOptions): Promise<string> {
  const identity = await sourceIdentity(reference, source);
  return `${sha256(canonicalJson([identity, CONVERSION_VERSION]))}.json`;
}

/** Null when there is no whole package of this source. */
async function openInstalled({ recordPath, modelsDir, verify }: Install): Promise<Base | null> {
  const record = await readFile(recordPath, 'utf8').catch(nullIfMissing);
  if (record === null) return null;
  const { base } = JSON.parse(record) as { base: string };
  return await openIfWhole(join(modelsDir, base), verify);
}

async function openIfWhole(dir: string, verify: boolean): Promise<Base | null> {
  try {
    const base = await openBase(dir);
    if (verify) await verifyBase(base);
    return base;
  } catch (error) {
    if (error instanceof DamagedBaseError) return null;
    throw error;
  }
}

/** Only with the lock. */
async function installAnew(install: Install): Promise<Base> {
  const { modelsDir } = install;
  await sweepLeftovers(modelsDir);
  const workDir = join(modelsDir, `${UNFINISHED}${randomUUID()}`);
  const packageDir = join(workDir, 'package');
  await mkdir(packageDir, { recursive: true });
  try {
    const hash =
      (await takeShared(install, packageDir)) ?? (await convert(install, workDir, packageDir));
    const dir = join(modelsDir, hash);
    await place(packageDir, dir);
    await mkdir(dirname(install.recordPath), { recursive: true });
    await writeFileAtomically(install.recordPath, canonicalJson({ base: hash }));
    return await openBase(dir);
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

async function convert(install: Install, workDir: string, packageDir: string): Promise<string> {
  const { reference, signal, onProgress } = install;
  const checkpoint = await openSource(reference, workDir, install);
  return writeBase(checkpoint, packageDir, (doneBytes, totalBytes) => {
    signal?.throwIfAborted();
    onProgress?.({ stage: 'convert', doneBytes, totalBytes });
  });
}

/** The hash of the package that another process has shared, once it is in the folder; null when there is none that is
 *  whole. */
async function takeShared(
  { blobs, recordPath }: Install,
  packageDir: string,
): Promise<string | null> {
  if (blobs === null || !(await fetchShared(blobs, basename(recordPath), packageDir))) return null;
  const base = await openIfWhole(packageDir, true);
  if (base !== null) return base.sha256;
  await rm(packageDir, { recursive: true, force: true });
  await mkdir(packageDir);
  return null;
}

/** Moves the package to its place, unless the same one, whole, came there from another source. */
async function place(packageDir: string, dir: string): Promise<void> {
  if ((await openIfWhole(dir, true)) !== null) return;
  await rm(dir, { recursive: true, force: true });
  await sync(packageDir);
  await rename(packageDir, dir);
  await sync(dirname(dir));
}

const UNFINISHED = '.unfinished-';

/** We hold the lock, so whoever left these is gone. */
async function sweepLeftovers(modelsDir: string): Promise<void> {
  await mkdir(modelsDir, { recursive: true });
  const leftovers = (await readdir(modelsDir)).filter((name) => name.startsWith(UNFINISHED));
  for (const name of leftovers) await rm(join(modelsDir, name), { recursive: true, force: true });
}
