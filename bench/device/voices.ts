// Five adapters of one user, each trained on other mails, and prompts that none of them has seen.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readMailbox } from '../../demo/mailbox.ts';
import { reduce } from '../../src/dataset/core/reduce.ts';
import { must } from '../../src/lib/errors.ts';
import { type Base, loadTokenizer } from '../../src/model/base/base-package.ts';
import { unflattenLora } from '../../src/model/lora/lora.ts';
import { roundLora } from '../../src/model/lora/lora-wire.ts';
import { loadCatalog } from '../../src/modes/catalog.ts';
import type { Mode } from '../../src/modes/mode.ts';
import { type Recipe, recipeOf } from '../../src/training/core/recipe.ts';
import { tokenise } from '../../src/training/core/token-example.ts';
import { openBench } from '../authors/trial.ts';
import { type SeededAdapter, seedAdapters } from '../seed-users.ts';
import { type ModeLines, writeModes } from './server.ts';

const VOICES = 5;
const MAILS_EACH = 8;
const EPOCHS = 6;
export const MAX_TOKENS = 64;

/** The modes' names. */
export const VOICE_MODES: readonly string[] = Array.from(
  { length: VOICES },
  (_, i) => `voice-${i + 1}`,
);

/** Writes the modes, each of which continues texts, and gives the user an adapter in each. `work` keeps trained ones. */
export async function seedVoices(
  folder: string,
  { base, user, work }: { readonly base: Base; readonly user: string; readonly work: string },
): Promise<void> {
  const modesDir = join(folder, 'modes');
  const decode = `{ maxTokens: ${MAX_TOKENS}, stop: [] }`;
  const changed = VOICE_MODES.map((key) => {
    const lines: ModeLines = { key, decode };
    return { from: 'continue', lines };
  });
  await writeModes(modesDir, changed);
  const catalog = await loadCatalog(modesDir, { only: VOICE_MODES });
  const modes = VOICE_MODES.map((key) => catalog.mode(key));
  const adapters = await trainVoices(base, modes, { user, work });
  await seedAdapters(join(folder, 'data'), base, adapters);
}

async function trainVoices(
  base: Base,
  modes: readonly Mode[],
  { user, work }: { readonly user: string; readonly work: string },
): Promise<readonly SeededAdapter[]> {
  const tokenizer = await loadTokenizer(base);
  const first = must(modes[0], 'a mode');
  const recipe: Recipe = { ...recipeOf(first, base.config), epochs: EPOCHS };
  const bench = await openBench(base, recipe, work);
  const adapters: SeededAdapter[] = [];
  try {
    for (const [i, mode] of modes.entries()) {
      const mails = readMailbox().slice(i * MAILS_EACH, (i + 1) * MAILS_EACH);
      const { examples: train } = tokenise(reduce(mode, mails), tokenizer, recipe.maxTokens);
      const { theta } = await bench.train({ name: mode.key, recipe, train, validation: [] });
      // published adapters are rounded
      const adapter = roundLora(unflattenLora(base.config, recipe.lora, theta));
      adapters.push({ subject: user, mode: mode.key, adapter });
    }
  } finally {
    await bench.close();
  }
  return adapters;
}

/** Beginnings of fifty texts: the mails that nobody learnt from, the mails that were answered, and the notes. */
export async function heldOutPrompts(): Promise<readonly string[]> {
  const mails = readMailbox();
  const unseen = mails.slice(VOICES * MAILS_EACH).map(({ data }) => data.body);
  const received = mails.flatMap(({ data }) => {
    const { inReplyTo } = data as { readonly inReplyTo?: { readonly body: string } };
    return inReplyTo === undefined ? [] : [inReplyTo.body];
  });
  const file = new URL('../../examples/notes.jsonl', import.meta.url);
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
  const notes = lines.map((line) => (JSON.parse(line) as { data: { text: string } }).data.text);
  return [...unseen, ...received, ...notes].map(firstHalf);
}

function firstHalf(text: string): string {
  const words = text.split(' ');
  return words.slice(0, Math.ceil(words.length / 2)).join(' ');
}
