// One voice: the same questions to the device and, pinned to the adapter that it holds, to the cloud; greedy answers, and
// how likely each side found the tokens that both had written so far.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TokenLogprob } from '../../src/inference/core/logprobs.ts';
import type { Base } from '../../src/model/base/base-package.ts';
import { median } from '../decode/figure.ts';
import { type DevicePage, installBase, openDevicePage } from './page.ts';
import { startBenchServer } from './server.ts';
import { heldOutPrompts, MAX_TOKENS, seedVoices, VOICE_MODES } from './voices.ts';

/** How many of the likeliest tokens are compared at each place. */
const TOP = 5;
/** The user whose token a server shows at its start. */
const USER = 'demo';

interface Said {
  readonly origin: 'DEVICE' | 'CLOUD';
  readonly text: string;
  readonly adapter: { readonly sha256: string } | null;
  readonly logprobs: readonly TokenLogprob[];
}

/** Two answers side by side. */
interface Compared {
  readonly mode: string;
  readonly isSame: boolean;
  /** Places at which both had written the same before. */
  readonly tokens: number;
  /** Of each of these, the largest difference between the natural logarithms of a likely token's two probabilities. */
  readonly differences: readonly number[];
  /** Where they part: by how much the cloud preferred its token to the next one, in nats, and the place. */
  readonly parting: { readonly at: number; readonly gap: number } | null;
}

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
    for (const text of prompts) {
      const ask = (where: string) => {
        const request = { mode, input: { text }, where, maxTokens: MAX_TOKENS, topLogprobs: TOP };
        return page.ask<Said>(`phone.complete(${JSON.stringify(request)})`);
      };
      const compared = compare(mode, await ask('device'), await ask('cloud'));
      all.push(compared);
      const isSame = compared.isSame ? 'same' : 'other';
      process.stderr.write(`${mode} ${all.length}: ${compared.tokens} tokens, ${isSame}\n`);
    }
  }
  return all;
}

function compare(mode: string, here: Said, there: Said): Compared {
  if (here.adapter === null || here.adapter.sha256 !== there.adapter?.sha256)
    throw new Error(`${mode}: the two were not answered by one adapter`);
  const parted = there.logprobs.findIndex(({ token }, i) => token !== here.logprobs[i]?.token);
  const tokens = parted < 0 ? there.logprobs.length : parted + 1;
  const differences = there.logprobs
    .slice(0, tokens)
    .map((one, i) => difference(one, here.logprobs[i]));
  const [first, second] = there.logprobs[parted]?.topLogprobs ?? [];
  const gap = (first?.logprob ?? Number.NaN) - (second?.logprob ?? Number.NaN);
  return {
    ...{ mode, tokens, differences },
    isSame: here.text === there.text && parted < 0,
    parting: parted < 0 ? null : { at: parted, gap },
  };
}

/** Tokens whose text stands twice are parts of characters, and left out. */
function difference(a: TokenLogprob, b: TokenLogprob | undefined): number {
  const only = (list: readonly { readonly token: string }[], token: string) =>
    list.filter((one) => one.token === token).length === 1;
  const found = (b?.topLogprobs ?? []).flatMap(({ token, logprob }, _, all) => {
    const other = a.topLogprobs.find((one) => one.token === token);
    const isClear = other !== undefined && only(all, token) && only(a.topLogprobs, token);
    return isClear ? [Math.abs(logprob - other.logprob)] : [];
  });
  return Math.max(0, ...found);
}

function summed(all: readonly Compared[]): Parity {
  const differences = all.flatMap((one) => one.differences);
  return {
    answers: all.length,
    same: all.filter(({ isSame }) => isSame).length,
    tokens: differences.length,
    largest: differences.reduce((a, b) => Math.max(a, b), 0),
    median: median(differences),
    partings: all.flatMap(({ mode, parting }) =>
      parting === null
        ? []
        : [`${mode}: token ${parting.at + 1}, where the cloud's lead is ${parting.gap.toFixed(4)}`],
    ),
  };
}
