// One training step beside the same one by torch and PEFT, in turns, and beside what the processor could do at best.

import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { forkScript } from '../../src/lib/fork-script.ts';
import type { Base } from '../../src/model/base/base-package.ts';
import { collate } from '../../src/training/core/batch.ts';
import { seededRandom } from '../../src/training/core/random.ts';
import type { Recipe } from '../../src/training/core/recipe.ts';
import type { TokenExample } from '../../src/training/core/token-example.ts';
import type { StepRequest } from './our-peer.ts';
import { measurePeak, type Peak, productsOfStep } from './products.ts';
import { startTorchPeer } from './torch-peer.ts';

/** The batch: rows of equal length, a quarter of which is the answer. */
const ROWS = 4;
const LENGTH = 128;
const ANSWER = 32;

const ROUNDS = 7;

/** What was found. */
export interface StepSpeed {
  /** Medians, in milliseconds. */
  readonly ours: number;
  readonly fp32: number;
  readonly bf16: number;
  /** Ours over theirs, of the same round: medians. */
  readonly vsFp32: number;
  readonly vsBf16: number;
  readonly torch: string;
  readonly peak: Peak;
  /** The time that our step's products need at the peak, over our time. */
  readonly peakShare: number;
  readonly tokens: number;
}

/** Measures in turns: a step of ours, one of torch in fp32, one in bf16, and so on. */
export async function compareSteps(options: {
  readonly base: Base;
  readonly recipe: Recipe;
  readonly python: string;
  readonly threads: number;
  readonly folder: string;
}): Promise<StepSpeed> {
  const { base, recipe, python, threads, folder } = options;
  const rows = exampleRows(base.config.vocabSize);
  const batchFile = join(folder, 'batch.json');
  const { rank, alpha } = recipe.lora;
  await writeFile(
    batchFile,
    JSON.stringify({ rows, rank, alpha, learningRate: recipe.learningRate }),
  );
  const peer = (dtype: 'float32' | 'bfloat16') =>
    startTorchPeer({ python, baseDir: base.dir, batchFile, dtype, threads });
  const [fp32, bf16] = [await peer('float32'), await peer('bfloat16')];
  const ours = startOurPeer({ baseDir: base.dir, recipe, rows, threads });
  const rounds: { ours: number; fp32: number; bf16: number; peak: Peak }[] = [];
  // the first round is for warming up
  for (let round = 0; round <= ROUNDS; round += 1) {
    const times = {
      ours: await ours.step(),
      fp32: (await fp32.step()).ms,
      bf16: (await bf16.step()).ms,
      peak: await measurePeak(threads),
    };
    if (round > 0) rounds.push(times);
  }
  await Promise.all([fp32.stop(), bf16.stop(), ours.stop()]);
  const products = productsOfStep(base.config, recipe, collate(rows));
  const atPeak = ({ peak }: { peak: Peak }) =>
    1000 * (products.fp32 / peak.fp32 + products.int8 / peak.int8);
  return {
    ours: median(rounds.map((round) => round.ours)),
    fp32: median(rounds.map((round) => round.fp32)),
    bf16: median(rounds.map((round) => round.bf16)),
    vsFp32: median(rounds.map((round) => round.fp32 / round.ours)),
    vsBf16: median(rounds.map((round) => round.bf16 / round.ours)),
    torch: fp32.version,
    peak: {
      fp32: median(rounds.map(({ peak }) => peak.fp32)),
      int8: median(rounds.map(({ peak }) => peak.int8)),
    },
    peakShare: median(rounds.map((round) => atPeak(round) / round.ours)),
    tokens: ROWS * LENGTH,
  };
}

/** Rows of tokens that mean nothing: time does not depend on them. */
function exampleRows(vocabSize: number): readonly TokenExample[] {
  const random = seededRandom('7'.repeat(64));
  return Array.from({ length: ROWS }, (_, row) => ({
    sha256: `${row}`,
    ids: Array.from({ length: LENGTH }, () => Math.floor(random() * vocabSize)),
    promptLength: LENGTH - ANSWER,
  }));
}

/** Our side, in a process like a trainer's. */
function startOurPeer(request: StepRequest) {
  const { child, stderr } = forkScript(new URL('./our-peer.ts', import.meta.url), {
    keepsMemory: true,
  });
  const next = async (): Promise<number> => {
    const exit = once(child, 'exit').then(() => {
      throw new Error(`our steps ended: ${stderr()}`);
    });
    const [ms] = await Promise.race([once(child, 'message'), exit]);
    return ms;
  };
  return {
    step: () => {
      const taken = next();
      child.send(request);
      return taken;
    },
    stop: () => child.kill(),
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
