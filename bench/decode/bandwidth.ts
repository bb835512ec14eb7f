// How far decoding is from what memory allows. A step has to read all weights, and for each row its keys, values and
// adapter; its bound is those bytes over the bandwidth of reading, which is measured here and now.
//
//   share = bytes(B) / bandwidth / step time,   bytes(B) = weights + B * (past * bytes of a position + adapter)

import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { kvBytesPerToken } from '../../src/inference/core/kv-block.ts';
import type { Base } from '../../src/model/base/base-package.ts';
import { int8WeightsName } from '../../src/model/decode/decode-weights.ts';
import { EMBEDDING_NAME } from '../../src/model/decode/llama-decode.ts';
import { LORA_MODULES, loraSize } from '../../src/model/lora/lora.ts';
import { readSafetensors } from '../../src/model/safetensors/safetensors.ts';
import { type Figure, median } from './figure.ts';
import type { Bench, Sides } from './sides.ts';
import type { Workload } from './workload.ts';

const PROMPT_TOKENS = 128;
const TOKENS = 48;
const BATCHES = [
  { users: 1, reach: '0.80' },
  { users: 8, reach: '0.65' },
  { users: 32, reach: '0.60' },
];

/** The share at 1, 8 and 32 users, each with an adapter of their own. */
export async function bandwidthShares(
  sides: Sides,
  workload: Workload,
  { base, threads }: Bench,
): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const { users, reach } of BATCHES) {
    const rows = await workload.users(users, PROMPT_TOKENS);
    const rates: number[] = [];
    const bandwidths: number[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      const rate = await sides.ask('ours', { kind: 'decode', rows, tokens: TOKENS });
      if (turn > 0) rates.push(rate);
      bandwidths.push(await readBandwidth(threads));
    }
    const stepS = users / median(rates);
    const bandwidth = median(bandwidths);
    const bytes = stepBytes(base, users, PROMPT_TOKENS + TOKENS / 2);
    const from = `${(bytes / 1e6).toFixed(0)} MB, ${(bandwidth / 1e9).toFixed(1)} GB/s, step ${(stepS * 1000).toFixed(1)} ms`;
    figures.push({ key: `bandwidth_b${users}`, value: bytes / bandwidth / stepS, reach, from });
  }
  return figures;
}

/** The embedding is not read as a whole: of it each row needs one vector. */
function stepBytes(base: Base, rows: number, past: number): number {
  const { config } = base;
  const file = readSafetensors(join(base.dir, int8WeightsName('i8')));
  let weights = 0;
  for (const [name, { shape, dtype }] of file.tensors) {
    if (name === EMBEDDING_NAME || name.startsWith('rope')) continue;
    weights += shape.reduce((product, size) => product * size, 1) * (dtype === 'F32' ? 4 : 1);
  }
  const adapter = loraSize(config, { rank: 8, alpha: 16, modules: LORA_MODULES }) * 4;
  return weights + rows * (past * kvBytesPerToken(config) + adapter);
}

const COMPARED_BYTES = 192 * 2 ** 20;
const REPEATS = 6;
/** Compares two equal pieces of memory, which reads both from end to end with the widest instructions there are. */
const READER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const [a, b] = [0, 1].map(() => Buffer.alloc(workerData.bytes, 7));
  parentPort.on('message', () => {
    for (let i = 0; i < workerData.repeats; i += 1)
      if (!a.equals(b)) throw new Error('equal memory differs');
    parentPort.postMessage('done');
  });
  parentPort.postMessage('ready');
`;

/** Bytes a second that so many threads read together. */
async function readBandwidth(threads: number): Promise<number> {
  const workerData = { bytes: COMPARED_BYTES, repeats: REPEATS };
  const workers = Array.from(
    { length: threads },
    () => new Worker(READER, { eval: true, workerData }),
  );
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  const startedAt = performance.now();
  const done = workers.map((worker) => once(worker, 'message'));
  for (const worker of workers) worker.postMessage('go');
  await Promise.all(done);
  const seconds = (performance.now() - startedAt) / 1000;
  await Promise.all(workers.map((worker) => worker.terminate()));
  return (threads * 2 * COMPARED_BYTES * REPEATS) / seconds;
}
