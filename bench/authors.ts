// What an adapter of one's own is worth to real writers: for each, the held-out loss of the base, of an adapter that
// others' texts trained, of one's own adapter, and of one's own that began from the others'. Long; goes on where it was
// stopped. Prints a table and, last, one line of JSON.

import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { say, showTable } from '../demo/show.ts';
import { readConfig } from '../src/config.ts';
import { must } from '../src/lib/errors.ts';
import { installBase } from '../src/model/base/base-install.ts';
import { loadTokenizer } from '../src/model/base/base-package.ts';
import { loadCatalog } from '../src/modes/catalog.ts';
import { type Recipe, recipeFrom, recipeOf } from '../src/training/core/recipe.ts';
import { type Author, mixed, readAuthors } from './authors/data.ts';
import { measureGoingOn } from './authors/going-on.ts';
import { type Bench, openBench, type Trained } from './authors/trial.ts';

const MODE = 'subject';
const GLOBAL_EXAMPLES = 500;
const RECORDED = new URL('./recorded/authors.json', import.meta.url);

const { values: options } = parseArgs({
  options: {
    authors: { type: 'string' },
    model: { type: 'string' },
    work: { type: 'string', default: join(tmpdir(), 'attune-authors') },
    // keeps the figures for bench:train to repeat
    record: { type: 'boolean', default: false },
    // for the search of defaults
    only: { type: 'string' },
    rank: { type: 'string' },
    rate: { type: 'string' },
    epochs: { type: 'string' },
    batch: { type: 'string' },
    top: { type: 'string' },
    // so many of each writer's past texts are learnt from, drawn by their hashes; absent: all
    texts: { type: 'string' },
    'warm-rate': { type: 'string' },
    'warm-epochs': { type: 'string' },
    'global-rate': { type: 'string' },
    'global-epochs': { type: 'string' },
    // instead of all that: runs that go on with so many new texts, beside runs from scratch
    new: { type: 'string' },
    'going-rate-share': { type: 'string' },
    'going-epochs': { type: 'string' },
    replay: { type: 'string' },
  },
});
await benchAuthors();

/** Held-out losses of one writer, in nats per target token. */
interface Row {
  readonly author: string;
  readonly base: number;
  readonly global: number;
  readonly own: number;
  readonly ownOnGlobal: number;
}

async function benchAuthors(): Promise<void> {
  if (!options.authors) throw new Error('--authors FILE (or ATTUNE_AUTHORS) names the texts');
  const { model, cacheDir, modesDir } = readConfig({ model: options.model });
  const base = await installBase({ model, cacheDir });
  const mode = (await loadCatalog(modesDir, { only: [MODE] })).mode(MODE);
  const recipe = searched(recipeOf(mode, base.config), base.config.layerCount);
  const tokenizer = await loadTokenizer(base);
  const { maxTokens } = recipe;
  const authors = await readAuthors(options.authors, { mode, tokenizer, maxTokens });
  const bench = await openBench(base, recipe, options.work);
  try {
    if (options.new !== undefined) return await showGoingOn(bench, authors, recipe);
    const figures = figuresOf(await measure(bench, authors, recipe));
    say(JSON.stringify(figures));
    if (options.record) await writeFile(RECORDED, `${JSON.stringify(figures, null, 2)}\n`);
  } finally {
    await bench.close();
  }
}

async function measure(
  bench: Bench,
  authors: readonly Author[],
  recipe: Recipe,
): Promise<readonly Row[]> {
  const globals = new Map<number, Trained>();
  const rows: Row[] = [];
  for (const [i, author] of authors.entries()) {
    if (!isChosen(author)) continue;
    // the one that this writer had no part in
    const other = 1 - (i % 2);
    const half = authors.filter((_, j) => j % 2 === other);
    const global = globals.get(other) ?? (await trainGlobal(bench, half, recipe));
    globals.set(other, global);
    rows.push(await measureAuthor(bench, author, { recipe, global }));
    showRow(must(rows.at(-1), 'just pushed'));
  }
  return rows;
}

function trainGlobal(bench: Bench, half: readonly Author[], recipe: Recipe): Promise<Trained> {
  const texts = mixed(half, GLOBAL_EXAMPLES);
  const name = `global of ${half.map((author) => author.name).join(' ')}`;
  return bench.train({ name, recipe: globalRecipe(recipe), ...texts });
}

async function measureAuthor(
  bench: Bench,
  { name, train, validation, holdout }: Author,
  { recipe, global }: { recipe: Recipe; global: Trained },
): Promise<Row> {
  const data = { train: taughtOf(train), validation };
  const own = await bench.train({ name: `${name} own`, recipe, ...data });
  const ownOnGlobal = await bench.train({
    name: `${name} on global`,
    recipe: onGlobal(recipe),
    ...data,
    start: global,
  });
  return {
    author: name,
    base: await bench.loss(holdout, null),
    global: await bench.loss(holdout, global),
    own: await bench.loss(holdout, own),
    ownOnGlobal: await bench.loss(holdout, ownOnGlobal),
  };
}

function isChosen({ name }: Author): boolean {
  return options.only === undefined || options.only.split(',').includes(name);
}

/** The recipe with what the search wants otherwise, and without what nobody rates here. */
function searched({ dpo: _dpo, ...recipe }: Recipe, layerCount: number): Recipe {
  const { rank, rate, epochs, batch, top } = options;
  const number = (text: string | undefined, fallback: number) =>
    text === undefined ? fallback : Number(text);
  const count = number(top, layerCount);
  const layers = Array.from({ length: count }, (_, i) => layerCount - count + i);
  const r = number(rank, recipe.lora.rank);
  return {
    ...recipe,
    lora: {
      ...recipe.lora,
      rank: r,
      alpha: (recipe.lora.alpha / recipe.lora.rank) * r,
      ...(count < layerCount && { layers }),
    },
    learningRate: number(rate, recipe.learningRate),
    epochs: number(epochs, recipe.epochs),
    batchSize: number(batch, recipe.batchSize),
  };
}

function globalRecipe(recipe: Recipe): Recipe {
  return {
    ...recipe,
    learningRate: Number(options['global-rate'] ?? recipe.learningRate),
    epochs: Number(options['global-epochs'] ?? recipe.epochs),
  };
}

/** As a run that begins from its mode's shipped adapter. */
function onGlobal(recipe: Recipe): Recipe {
  const shipped = recipeFrom('shipped', recipe);
  const epochs = Number(options['warm-epochs'] ?? shipped.epochs);
  const learningRate = Number(options['warm-rate'] ?? shipped.learningRate);
  return { ...shipped, learningRate, epochs, patience: epochs };
}

async function showGoingOn(bench: Bench, authors: readonly Author[], recipe: Recipe) {
  const { incremental } = recipe;
  const told = {
    epochs: Number(options['going-epochs'] ?? incremental.epochs),
    learningRateShare: Number(options['going-rate-share'] ?? incremental.learningRateShare),
    replay: Number(options.replay ?? incremental.replay),
  };
  const choices = { recipe: { ...recipe, incremental: told }, newCount: Number(options.new) };
  for (const author of authors.filter(isChosen)) {
    const texts = { ...author, train: taughtOf(author.train) };
    say(JSON.stringify({ ...told, ...(await measureGoingOn(bench, texts, choices)) }));
  }
}

/** Those of a writer's past texts that are learnt from. */
function taughtOf(train: Author['train']): Author['train'] {
  return options.texts === undefined ? train : train.slice(-Number(options.texts));
}

function isBest({ base, global, own, ownOnGlobal }: Row): boolean {
  return ownOnGlobal < Math.min(base, global, own);
}

function showRow({ author, base, global, own, ownOnGlobal }: Row): void {
  const losses = [base, global, own, ownOnGlobal].map((loss) => loss.toFixed(3)).join(' ');
  console.error(`${author}: base, global, own, own on global ${losses}`);
}

/** Prints the table; returns the figures. */
function figuresOf(rows: readonly Row[]): Readonly<Record<string, number>> {
  showTable(
    ['author', 'base', 'global', 'own', 'own on global', 'best'],
    rows.map((row) => {
      const losses = [row.base, row.global, row.own, row.ownOnGlobal];
      const best = isBest(row) ? 'own on global' : '';
      return [row.author, ...losses.map((loss) => loss.toFixed(3)), best];
    }),
  );
  const mean = (pick: (row: Row) => number) =>
    Number((rows.reduce((sum, row) => sum + pick(row), 0) / rows.length).toFixed(4));
  return {
    authors: rows.length,
    authors_own_on_global_best: rows.filter(isBest).length,
    loss_base: mean(({ base }) => base),
    loss_global: mean(({ global }) => global),
    loss_own: mean(({ own }) => own),
    loss_own_on_global: mean(({ ownOnGlobal }) => ownOnGlobal),
  };
}
