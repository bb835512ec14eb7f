// One voice: the same questions to the device and, pinned to the adapter that it holds, to the cloud; greedy answers, and
// how likely each side found the tokens that both had written so far.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Base } from '../../src/model/base/base-package.ts';
import { median } from '../decode/figure.ts';
import { type Compared, compare, type Said } from './compare-answers.ts';
import { type DevicePage, installBase, openDevicePage } from './page.ts';
import { startBenchServer } from './server.ts';
import { heldOutPrompts, MAX_TOKENS, seedVoices, VOICE_MODES } from './voices.ts';

/** How many of the likeliest tokens are compared at each place. */
const TOP = 5;
/** The user whose token a server shows at its start. */
const USER = 'demo';

/** What was found. */
export interface Parity {
  readonly answers: number;
  readonly same: number;
  readonly tokens: number;
  readonly largest: number;
  readonly median: number;
  /** One line for each answer that differs. */
  readonly partings: readonly string[];
}

/** Asks so many of the prompts in each of the modes. */
export async function measureParity(options: {
  readonly base: Base;
  readonly model: string;
  readonly work: string;
  readonly prompts: number;
  readonly modes: readonly string[];
}): Promise<Parity> {
  const { base, model, work, prompts, modes } = options;
  const folder = await mkdtemp(join(tmpdir(), 'attune-parity-'));
  try {
    await seedVoices(folder, { base, user: USER, work });
    const server = await startBenchServer(folder, { model, modes: VOICE_MODES });
    try {
      const page = await openDevicePage(server.account);
      try {
        await installBase(page);
        const asked = (await heldOutPrompts()).slice(0, prompts);
        return summed(await compareAll(page, modes, asked));
      } finally {
        await page.close();
      }
    } finally {
      await server.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function compareAll(
  page: DevicePage,
  modes: readonly string[],
  prompts: readonly string[],
): Promise<Compared[]> {
  const all: Compared[] = [];
  for (const mode of modes) {
    await page.until(`phone.adapter('${mode}').then((held) => held !== null)`);
    for (const [n, text] of prompts.entries()) {
      const ask = (where: string) => {
        const request = { mode, input: { text }, where, maxTokens: MAX_TOKENS, topLogprobs: TOP };
        return page.ask<Said>(patiently(`phone.complete(${JSON.stringify(request)})`));
      };
      const name = `${mode}, prompt ${n + 1}`;
      const compared = compare(name, await ask('device'), await ask('cloud'));
      all.push(compared);
      const found = compared.parting ?? 'same';
      process.stderr.write(`${name}: ${compared.differences.length} tokens, ${found}\n`);
    }
  }
  return all;
}

/** The script, again after OFFLINE, twenty times at most: a run of hours may be halted for minutes. */
function patiently(script: string): string {
  return `(async () => {
    for (let left = 20; ; left -= 1) {
      try { return await ${script}; }
      catch (error) { if (error.code !== 'OFFLINE' || left === 0) throw error; }
    }
  })()`;
}

function summed(all: readonly Compared[]): Parity {
  const differences = all.flatMap((one) => one.differences);
  return {
    answers: all.length,
    same: all.filter(({ parting }) => parting === null).length,
    tokens: differences.length,
    largest: differences.reduce((a, b) => Math.max(a, b), 0),
    median: median(differences),
    partings: all.flatMap(({ name, parting }) => (parting === null ? [] : [`${name}: ${parting}`])),
  };
}
