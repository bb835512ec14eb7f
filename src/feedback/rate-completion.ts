import { queueRuns } from '../changes/queue-run.ts';
import type { Verdict } from '../db/answer-tables.ts';
import type { Db, Tx } from '../db/database.ts';

import type { CompletionRow } from '../db/schema.ts';
import { keysOf, sealRow } from '../db/sealed-columns.ts';

import { lockUser } from '../db/user-row.ts';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../lib/errors.ts';
import { textFlaw } from '../lib/storable.ts';
import { OUTBOX_TOPIC, runsTopic, type Wakeups } from '../lib/wakeups.ts';
import type { ModeCatalog } from '../modes/mode.ts';
import { completionById } from './completions.ts';
import { judgingOf, replacePreferences } from './replace-preferences.ts';

/** A preferred text is an answer that the model should learn to give: longer ones are no answers. */
const MAX_BETTER_CHARACTERS = 10_000;

/** What rating needs. */
export interface RateDeps {
  readonly db: Db;
  readonly catalog: ModeCatalog;
  readonly wakeups: Wakeups;
  readonly clock: Clock;
}

/** What the user thought of a completion; ids are row ids. */
export interface RatingInput {
  readonly completionId: string;
  readonly verdict?: Verdict | null | undefined;
  readonly better?: string | null | undefined;
  readonly preferredCompletionId?: string | null | undefined;
}

/** A rating with nothing left out. */
type Rating = Pick<CompletionRow, 'verdict' | 'better' | 'preferredId'>;

/** Rates a completion, replacing what was said of it before, and queues a run of its mode unless it was the same.
 *  The preferences of the input follow from all its ratings. Throws NOT_FOUND for an unknown completion, BAD_INPUT when
 *  nothing is said or the preferred completion is of another input, CONFLICT when one of them was made from a record that
 *  has since been deleted. */
export async function rateCompletion(
  deps: RateDeps,
  userId: string,
  input: RatingInput,
): Promise<CompletionRow> {
  const rating = parseRating(input);
  const now = new Date(deps.clock.now());
  const rated = await deps.db.transaction().execute(async (tx) => {
    await lockUser(tx, userId);
    const completion = await findCompletion(tx, userId, 'completionId', input.completionId);
    await checkPreferred(tx, completion, rating.preferredId);
    if (completion.ratedAt !== null && isSame(completion, rating)) return completion;
    const sealed = sealRow(await keysOf(tx, userId), 'completions', {
      ...rating,
      id: completion.id,
    });
    await tx
      .updateTable('completions')
      .set({ ...sealed, ratedAt: now })
      .where('id', '=', completion.id)
      .execute();
    const updated = { ...completion, ...rating, ratedAt: now };
    const mode = deps.catalog.modes.find(({ key }) => key === completion.mode);
    const judging = mode === undefined ? { drafts: false, thumbs: false } : judgingOf(mode);
    await replacePreferences(tx, completion, { now, ...judging });
    if (mode !== undefined) await queueRuns(tx, userId, [completion.mode], { now });
    return updated;
  });
  for (const topic of [OUTBOX_TOPIC, runsTopic(userId)]) deps.wakeups.wake(topic);
  return rated;
}

function parseRating({ verdict, better, preferredCompletionId }: RatingInput): Rating {
  const rating: Rating = {
    verdict: verdict ?? null,
    better: better ?? null,
    preferredId: preferredCompletionId ?? null,
  };
  if (Object.values(rating).every((part) => part === null)) {
    const advice = 'give a verdict, a better text or a preferredCompletionId';
    throw new AppError('BAD_INPUT', `The rating says nothing; ${advice}.`);
  }
  const flaw = rating.better === null ? null : betterFlaw(rating.better);
  if (flaw !== null) throw new AppError('BAD_INPUT', `better ${flaw}.`);
  return rating;
}

function betterFlaw(better: string): string | null {
  if (better.trim() === '') return 'must not be empty';
  if (better.length <= MAX_BETTER_CHARACTERS) return textFlaw(better);
  return `must not have more than ${MAX_BETTER_CHARACTERS} characters; it has ${better.length}`;
}

async function findCompletion(
  tx: Tx,
  userId: string,
  argument: string,
  id: string,
): Promise<CompletionRow> {
  const completion = await completionById(tx, userId, id);
  if (completion === null) {
    throw new AppError('NOT_FOUND', `${argument} names no completion of yours.`);
  }
  if (completion.input !== null && !(await showsDeletedRecord(tx, completion))) return completion;
  const why = 'was made from a record that has since been deleted';
  throw new AppError('CONFLICT', `The completion of ${argument} ${why}; it cannot be rated.`);
}

/** A delete erases the completions that it finds; an answer that was under way then is stored after it. */
async function showsDeletedRecord(tx: Tx, { id, userId }: CompletionRow): Promise<boolean> {
  const deleted = await tx
    .selectFrom('completionRecords as shown')
    .innerJoin('records', (join) =>
      join
        .onRef('records.source', '=', 'shown.source')
        .onRef('records.recordId', '=', 'shown.recordId')
        .on('records.userId', '=', userId),
    )
    .select('records.id')
    .where('shown.completionId', '=', id)
    .where('records.deleted', '=', true)
    .executeTakeFirst();
  return deleted !== undefined;
}

async function checkPreferred(tx: Tx, rated: CompletionRow, id: string | null): Promise<void> {
  if (id === null) return;
  const preferred = await findCompletion(tx, rated.userId, 'preferredCompletionId', id);
  const flaw = preferredFlaw(rated, preferred);
  if (flaw !== null) throw new AppError('BAD_INPUT', `preferredCompletionId ${flaw}.`);
}

function preferredFlaw(rated: CompletionRow, preferred: CompletionRow): string | null {
  if (preferred.id === rated.id) return 'names the rated completion itself';
  if (preferred.mode !== rated.mode) {
    return `names a completion of mode "${preferred.mode}", not "${rated.mode}"`;
  }
  return preferred.inputSha256 === rated.inputSha256 ? null : 'names a completion of another input';
}

function isSame(completion: CompletionRow, rating: Rating): boolean {
  return (['verdict', 'better', 'preferredId'] as const).every(
    (part) => completion[part] === rating[part],
  );
}
