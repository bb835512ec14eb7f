// A Llama model in a Hugging Face folder: config.json, tokenizer.json, tokenizer_config.json, and model.safetensors in one
// file or in shards with an index.

import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { Json } from '../../lib/canonical-json.ts';
import { must } from '../../lib/errors.ts';
import { badFile } from '../bad-file.ts';
import type { LlamaCheckpoint } from '../checkpoint.ts';
import { type LlamaConfig, llamaTensors } from '../llama-config.ts';
import { readSafetensors } from '../safetensors/safetensors.ts';
import type { Safetensors } from '../safetensors/safetensors-tensors.ts';
import { templateSource, tokenText } from '../tokenizer/chat-template.ts';
import { parseTokenizerJson } from '../tokenizer/tokenizer-json.ts';
import { parseHfConfig } from './hf-config.ts';

type JsonObject = { readonly [key: string]: Json };

/** A configuration is small; a file of gigabytes under its name must not be read into memory. */
const MAX_JSON_BYTES = 64 << 20;

/** Tensors that checkpoints carry along but that follow from the config. */
const DERIVED_TENSOR = /rotary_emb\.inv_freq$/;

/** Opens the folder. Throws BAD_INPUT for damage, and for anything but a plain Llama model. */
export async function openHfCheckpoint(dir: string): Promise<LlamaCheckpoint> {
  const generation = existsSync(join(dir, 'generation_config.json'))
    ? await readObject(dir, 'generation_config.json')
    : null;
  const configPath = join(dir, 'config.json');
  const config = parseHfConfig(await readObject(dir, 'config.json'), generation, configPath);
  const tensors = await openShards(dir);
  checkTensors(dir, config, tensors);
  const tokenizerPath = join(dir, 'tokenizer.json');
  return {
    name: basename(resolve(dir)),
    config,
    tokenizerJson: parseTokenizerJson(await readObject(dir, 'tokenizer.json'), tokenizerPath),
    tokenizerConfig: await readTokenizerConfig(dir),
    tensor: (name) => must(tensors.get(name), `tensor ${name}`).read(name),
  };
}

/** Which file holds each tensor. */
async function openShards(dir: string): Promise<Map<string, Safetensors>> {
  const tensors = new Map<string, Safetensors>();
  for (const name of await shardNames(dir)) {
    const path = join(dir, name);
    if (!existsSync(path)) throw badFile(`${path} is missing`);
    const shard = readSafetensors(path);
    for (const tensor of shard.tensors.keys()) {
      if (tensors.has(tensor)) throw badFile(`${path}, tensor ${tensor}: another file has it too`);
      tensors.set(tensor, shard);
    }
  }
  return tensors;
}

async function shardNames(dir: string): Promise<readonly string[]> {
  const indexName = 'model.safetensors.index.json';
  if (existsSync(join(dir, 'model.safetensors'))) return ['model.safetensors'];
  if (!existsSync(join(dir, indexName)))
    throw badFile(
      `${dir} has neither model.safetensors nor ${indexName}: only safetensors weights are supported`,
    );
  const map = (await readObject(dir, indexName)).weight_map ?? null;
  const names = [...new Set(Object.values(map ?? {}))];
  // a name with a slash could lead out of the folder
  const isFileName = (name: Json) => typeof name === 'string' && name === basename(name);
  if (names.length === 0 || !names.every(isFileName))
    throw badFile(`${join(dir, indexName)}: weight_map does not name files of this folder`);
  return names as string[];
}

/** A tensor we do not use would be silently missing from every answer, so there must be none. */
function checkTensors(
  dir: string,
  config: LlamaConfig,
  tensors: ReadonlyMap<string, Safetensors>,
): void {
  const expected = llamaTensors(config);
  for (const [name, shape] of expected) {
    const found = tensors.get(name)?.tensors.get(name)?.shape;
    if (found === undefined) throw badFile(`${dir} has no tensor ${name}`);
    if (String(found) !== String(shape))
      throw badFile(`${dir}, tensor ${name} is [${found}], expected [${shape}]`);
  }
  const isKnown = (name: string) =>
    expected.has(name) || DERIVED_TENSOR.test(name) || name === 'lm_head.weight';
  const stranger = [...tensors.keys()].find((name) => !isKnown(name));
  if (stranger !== undefined)
    throw badFile(`${dir} has a tensor ${stranger}, which a plain Llama model has not`);
}

/** Only what we use, so that two folders that mean the same make the same base. */
async function readTokenizerConfig(dir: string): Promise<JsonObject> {
  const config = await readObject(dir, 'tokenizer_config.json');
  const ownFile = join(dir, 'chat_template.jinja');
  const template = existsSync(ownFile)
    ? await readFile(ownFile, 'utf8')
    : templateSource(config.chat_template ?? null, join(dir, 'tokenizer_config.json'));
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
    bos_token: tokenText(config.bos_token) || null,
    eos_token: tokenText(config.eos_token) || null,
    chat_template: template,
  };
}

async function readObject(dir: string, name: string): Promise<JsonObject> {
  const path = join(dir, name);
  if (!existsSync(path)) throw badFile(`${path} is missing: not a Hugging Face model folder`);
  const { size } = await stat(path);
  if (size > MAX_JSON_BYTES)
    throw badFile(`${path} is ${size} bytes long, at most ${MAX_JSON_BYTES} are allowed`);
  const parsed = parseJson(await readFile(path, 'utf8'), path);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw badFile(`${path}: expected a JSON object`);
  return parsed as JsonObject;
}

function parseJson(text: string, path: string): Json {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw badFile(`${path} is not JSON: cut off or damaged`, error);
  }
}
