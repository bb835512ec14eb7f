// Fetches a Llama checkpoint from a Hugging Face hub: exactly the files that hf-checkpoint.ts reads, all of one commit.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { HUB_URL, HubApiError, type ListFileEntry, listFiles, modelInfo } from '@huggingface/hub';
import { AppError } from '../../lib/errors.ts';
import { type DownloadOptions, downloadFile } from './download-file.ts';
import { asRetryable, RetryableError, statusError, withRetries } from './retry.ts';

/** Where models are fetched from. */
export interface Hub {
  /** Default: the public hub. */
  readonly endpoint?: string | undefined;
  /** For private and gated models. */
  readonly token?: string | undefined;
}

/** A model on a hub. */
export interface HubModel {
  /** 'organisation/name' */
  readonly repo: string;
  /** A branch, tag or commit. */
  readonly revision: string;
}

const NEEDED = ['config.json', 'tokenizer.json', 'tokenizer_config.json'];
const WELCOME = ['generation_config.json', 'chat_template.jinja'];
const SHARD = /^model-\d+-of-\d+\.safetensors$/;

/** Downloads the model's files into `<folder>/<commit>/` and returns that path; files that are there are not fetched again.
 *  Throws NOT_FOUND when the hub has no such Llama checkpoint, UNAVAILABLE when it cannot be reached. */
export async function fetchHubModel(
  model: HubModel,
  folder: string,
  hub: Hub,
  options: DownloadOptions,
): Promise<string> {
  const endpoint = hub.endpoint ?? HUB_URL;
  const commit = await askHub(model, endpoint, options, () => readCommit(model, endpoint, hub));
  const pinned = { ...model, revision: commit };
  const listed = await askHub(model, endpoint, options, () => readFiles(pinned, endpoint, hub));
  const files = chooseFiles(listed, `${model.repo}@${model.revision} on ${endpoint}`);
  const dir = join(folder, commit);
  await mkdir(dir, { recursive: true });
  await downloadAll(files, dir, {
    url: `${endpoint}/${model.repo}/resolve/${commit}`,
    hub,
    options,
  });
  return dir;
}

async function readCommit(model: HubModel, endpoint: string, hub: Hub): Promise<string> {
  const info = await modelInfo({
    name: model.repo,
    revision: model.revision,
    hubUrl: endpoint,
    fetch: retryableFetch,
    additionalFields: ['sha'],
    ...credentials(hub),
  });
  // it becomes the name of a folder
  if (!/^[0-9a-f]{40}$/.test(info.sha))
    throw new AppError(
      'UNAVAILABLE',
      `${endpoint} gives ${info.sha} as the commit of ${model.repo}`,
    );
  return info.sha;
}

async function readFiles(model: HubModel, endpoint: string, hub: Hub): Promise<ListFileEntry[]> {
  const { repo, revision } = model;
  const files: ListFileEntry[] = [];
  for await (const file of listFiles({
    repo,
    revision,
    hubUrl: endpoint,
    fetch: retryableFetch,
    ...credentials(hub),
  }))
    files.push(file);
  return files;
}

function credentials({ token }: Hub): { accessToken?: string } {
  return token === undefined ? {} : { accessToken: token };
}

/** The hub client's requests, with failures that may go away marked as such. */
const retryableFetch: typeof fetch = async (input, init) => {
  const url = input instanceof Request ? input.url : String(input);
  const response = await asRetryable(`${url} cannot be reached`, () => fetch(input, init));
  const error = response.ok ? null : statusError(url, response);
  if (error instanceof RetryableError) throw error;
  return response;
};

async function askHub<T>(
  model: HubModel,
  endpoint: string,
  options: DownloadOptions,
  call: () => Promise<T>,
): Promise<T> {
  try {
    return await withRetries(call, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof AppError) throw error;
    throw refusal(model, endpoint, error);
  }
}

/** The hub answers 401 for models that do not exist, too: it does not tell strangers which ones do. */
function refusal({ repo, revision }: HubModel, endpoint: string, error: unknown): AppError {
  const label = `the model ${repo}@${revision}`;
  if (!(error instanceof HubApiError))
    return new AppError(
      'UNAVAILABLE',
      `${endpoint} does not answer like a hub when asked for ${label}`,
      { cause: error },
    );
  const isHidden = [401, 403, 404].includes(error.statusCode);
  const remedy = 'check the name and the revision; a private or gated model needs a token';
  return new AppError(
    isHidden ? 'NOT_FOUND' : 'UNAVAILABLE',
    `${endpoint} answers ${error.statusCode} for ${label}: ${remedy}`,
    { cause: error },
  );
}

function chooseFiles(listed: readonly ListFileEntry[], label: string): readonly ListFileEntry[] {
  const named = new Map(listed.filter(({ type }) => type === 'file').map((f) => [f.path, f]));
  const whole = ['model.safetensors'];
  const shards = [
    'model.safetensors.index.json',
    ...[...named.keys()].filter((n) => SHARD.test(n)),
  ];
  const needed = [...NEEDED, ...(named.has('model.safetensors') ? whole : shards)];
  const missing = needed.find((name) => !named.has(name));
  if (missing !== undefined)
    throw new AppError(
      'NOT_FOUND',
      `${label} has no ${missing}: not a Llama checkpoint in safetensors`,
    );
  return [...needed, ...WELCOME].flatMap((name) => named.get(name) ?? []);
}

interface Source {
  readonly url: string;
  readonly hub: Hub;
  readonly options: DownloadOptions;
}

async function downloadAll(
  files: readonly ListFileEntry[],
  dir: string,
  { url, hub, options }: Source,
): Promise<void> {
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
  const headers = hub.token === undefined ? {} : { authorization: `Bearer ${hub.token}` };
  let before = 0;
  for (const { path, size, lfs } of files) {
    const request = {
      url: `${url}/${path}`,
      path: join(dir, path),
      sizeBytes: size,
      sha256: lfs?.oid ?? null,
      headers,
    };
    const startBytes = before;
    await downloadFile(request, {
      ...options,
      onProgress: (doneBytes) => options.onProgress?.(startBytes + doneBytes, totalBytes),
    });
    before += size;
  }
}
