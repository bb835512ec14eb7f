// A small base of random numbers with a few adapters, and requests for it.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writePeftFolder } from '../../../src/adapters/peft.ts';
import { encodeWireFile } from '../../../src/adapters/wire-file.ts';
import type { Engine } from '../../../src/inference/engine-client.ts';
import type {
  AdapterFolder,
  EngineEvent,
  EngineRequest,
} from '../../../src/inference/engine-protocol.ts';
import { must } from '../../../src/lib/errors.ts';
import { sha256 } from '../../../src/lib/sha256.ts';
import type { Base } from '../../../src/model/base/base-package.ts';
import type { LlamaConfig } from '../../../src/model/llama-config.ts';
import { LORA_MODULES, type LoraAdapter } from '../../../src/model/lora/lora.ts';
import { TENSORS_FILE, WIRE_FILE } from '../../../src/model/lora/lora-wire.ts';
import {
  randomAdapter,
  randomCheckpoint,
  randomNumbers,
  SMALL_CONFIG,
  temporaryBase,
} from '../model/random-llama.ts';

/** What an engine needs, in a folder of its own. */
export interface EngineFixture {
  readonly base: Base;
  readonly adapters: readonly AdapterFolder[];
  remove(): Promise<void>;
}

/** The ranks of the fixture's adapters. */
const RANKS = [8, 4, 16, 8, 11];

/** Writes base and adapters. */
export async function engineFixture(config: LlamaConfig = SMALL_CONFIG): Promise<EngineFixture> {
  const { base, remove } = await temporaryBase(randomCheckpoint(config));
  const adapters: AdapterFolder[] = [];
  for (const [seed, rank] of RANKS.entries()) {
    const shape = { rank, alpha: 2 * rank, modules: LORA_MODULES };
    adapters.push(await writeAdapter(base, randomAdapter(config, shape, seed), `adapter-${seed}`));
  }
  return { base, adapters, remove };
}

/** Writes an adapter beside the base, with the file that travels to devices where its numbers can be coded. */
export async function writeAdapter(
  base: Base,
  adapter: LoraAdapter,
  name: string,
): Promise<AdapterFolder> {
  const dir = join(base.dir, name);
  const files = await writePeftFolder(dir, adapter, base);
  const tensors = must(
    files.find((file) => file.name === TENSORS_FILE),
    'a file of tensors',
  );
  const wire = encodeWireFile(await readFile(join(dir, TENSORS_FILE)));
  if (wire === null) return { dir, sha256: tensors.sha256 };
  await writeFile(join(dir, WIRE_FILE), wire);
  return { dir, sha256: tensors.sha256, wireSha256: sha256(wire) };
}

/** The end of an answer. */
export type Done = Extract<EngineEvent, { kind: 'done' }>;

/** Asks and hears the answer out. */
export async function answerOf(engine: Engine, request: EngineRequest): Promise<Done> {
  for await (const event of engine.generate(request, new AbortController().signal))
    if (event.kind === 'done') return event;
  throw new Error('the answer has no end');
}

/** A request: greedy, short, of a user of its own, without an adapter. */
export function engineRequest(fields: Partial<EngineRequest> = {}): EngineRequest {
  return {
    promptIds: promptOf(20, 1),
    adapter: null,
    maxTokens: 12,
    temperature: 0,
    topP: 1,
    seed: null,
    stop: [],
    userId: 'user',
    ...fields,
  };
}

/** A prompt of so many tokens, another one for each seed. */
export function promptOf(length: number, seed: number): number[] {
  const random = randomNumbers(seed);
  return Array.from({ length }, () => 2 + Math.floor(random() * 256));
}
