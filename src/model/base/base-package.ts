// A base: a model as a folder of four canonical files, named by their content. The same model gives the same name on
// every machine, wherever it was read from. Files derived from them may lie beside them (base-derived.ts).

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalJson, type Json } from '../../lib/canonical-json.ts';
import { nullIfMissing } from '../../lib/null-if-missing.ts';
import { sha256, sha256File } from '../../lib/sha256.ts';
import { parseHfConfig } from '../hf/hf-config.ts';
import { createTokenizer } from '../hf/hf-tokenizer.ts';
import type { LlamaConfig } from '../llama-config.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { parseTokenizerJson } from '../tokenizer/tokenizer-json.ts';

/** A file of a base package. */
export interface BaseFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** An installed model package. */
export interface Base {
  readonly dir: string;
  /** SHA-256 over the names and hashes of the canonical files: an adapter is valid for exactly one. */
  readonly sha256: string;
  readonly name: string;
  readonly config: LlamaConfig;
  /** The canonical files: config.json, tokenizer.json, tokenizer_config.json, and model.safetensors, which is float32, in
   *  Hugging Face's names and [out, in] layout, and whose numbers start at a multiple of 4096 bytes. */
  readonly files: readonly BaseFile[];
}

/** The package is not what its manifest says. The message holds the remedy. */
export class DamagedBaseError extends Error {
  override readonly name = 'DamagedBaseError';
}

/** The file that lists the others. It is written last: a folder without it is not a package. */
export const MANIFEST_NAME = 'base.json';

interface Manifest {
  readonly name: string;
  readonly sha256: string;
  readonly files: readonly BaseFile[];
}

/** The text of the manifest and the base's hash. */
export function encodeManifest(
  name: string,
  files: readonly BaseFile[],
): { text: string; sha256: string } {
  const manifest = { name, sha256: hashFiles(files), files: files as unknown as Json };
  return { text: `${canonicalJson(manifest)}\n`, sha256: manifest.sha256 };
}

/** Opens a package. Checks that all files are there with their sizes, but not their content: that is `verifyBase`.
 *  Throws DamagedBaseError. */
export async function openBase(dir: string): Promise<Base> {
  const { name, files, sha256: hash } = await readManifest(dir);
  for (const file of files) {
    const found = await stat(join(dir, file.name)).catch(nullIfMissing);
    if (found?.size !== file.sizeBytes)
      throw damaged(
        dir,
        `${file.name} has ${found?.size ?? 'no'} bytes, expected ${file.sizeBytes}`,
      );
  }
  const config = parseHfConfig(await readJson(dir, 'config.json'), null, join(dir, 'config.json'));
  return { dir, sha256: hash, name, config, files };
}

/** Reads every canonical file and compares its hash. Throws DamagedBaseError naming the file. */
export async function verifyBase(base: Base): Promise<void> {
  for (const file of base.files) {
    const actual = await sha256File(join(base.dir, file.name));
    if (actual !== file.sha256)
      throw damaged(base.dir, `${file.name} has SHA-256 ${actual}, expected ${file.sha256}`);
  }
}

/** The base's own tokenizer and chat template. */
export async function loadTokenizer(base: Base): Promise<Tokenizer> {
  const { bosTokenId, eosTokenIds } = base.config;
  const label = join(base.dir, 'tokenizer.json');
  const tokenizerJson = parseTokenizerJson(await readJson(base.dir, 'tokenizer.json'), label);
  const tokenizerConfig = await readJson(base.dir, 'tokenizer_config.json');
  return createTokenizer({
    tokenizerJson,
    tokenizerConfig: tokenizerConfig as { readonly [key: string]: Json },
    bosTokenId,
    eosTokenIds,
    label,
  });
}

function hashFiles(files: readonly BaseFile[]): string {
  const named = files
    .map((file) => ({ name: file.name, sha256: file.sha256 }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return sha256(canonicalJson(named));
}

async function readManifest(dir: string): Promise<Manifest> {
  const manifest = (await readJson(dir, MANIFEST_NAME)) as unknown as Manifest | null;
  const isWhole =
    typeof manifest?.name === 'string' &&
    Array.isArray(manifest.files) &&
    manifest.files.length > 0 &&
    manifest.sha256 === hashFiles(manifest.files);
  if (!isWhole) throw damaged(dir, `${MANIFEST_NAME} is not a manifest`);
  return manifest;
}

async function readJson(dir: string, name: string): Promise<Json> {
  try {
    return JSON.parse(await readFile(join(dir, name), 'utf8'));
  } catch (error) {
    throw damaged(dir, `${name} cannot be read`, error);
  }
}

function damaged(dir: string, fault: string, cause?: unknown): DamagedBaseError {
  const remedy = 'remove this folder and start again, it will be made anew';
  return new DamagedBaseError(`base package ${dir} is damaged: ${fault}; ${remedy}`, { cause });
}
