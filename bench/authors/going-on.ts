// What a run that goes on is worth: a writer's own adapter without the last few texts, the same adapter after it went on with
// them, and one that learnt all of them from scratch.

import { seededRandom } from '../../src/training/core/random.ts';
import { type Recipe, recipeFrom } from '../../src/training/core/recipe.ts';
import { withReplay } from '../../src/training/core/replay.ts';
import type { Author } from './data.ts';
import type { Bench } from './trial.ts';

/** Held-out losses of one writer, in nats per target token. */
export interface GoingOn {
  readonly author: string;
  readonly before: number;
  readonly after: number;
  readonly anew: number;
  readonly steps: number;
}

// of the draw of what is repeated
const SEED = '5'.repeat(64);

/** Measures one writer; the last `newCount` of the texts to learn from are new. */
export async function measureGoingOn(
  bench: Bench,
  { name, train, validation, holdout }: Author,
  { recipe, newCount }: { readonly recipe: Recipe; readonly newCount: number },
): Promise<GoingOn> {
  const known = train.slice(0, -newCount);
  const before = await bench.train({ name: `${name} before`, recipe, train: known, validation });
  const { replay } = recipe.incremental;
  const taught = withReplay(
    train.map((example) => ({ ...example, split: 'train' as const })),
    { learnt: known.map((example) => example.sha256) },
    { replay, random: seededRandom(SEED) },
  );
  const going = recipeFrom('earlier', recipe);
  const data = { train: taught, validation, start: before };
  const after = await bench.train({ name: `${name} goes on`, recipe: going, ...data });
  const anew = await bench.train({ name: `${name} anew`, recipe, train, validation });
  return {
    author: name,
    before: await bench.loss(holdout, before),
    after: await bench.loss(holdout, after),
    anew: await bench.loss(holdout, anew),
    steps: after.steps,
  };
}
