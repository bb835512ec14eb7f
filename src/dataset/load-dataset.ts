import type { Db } from '../db/database.ts';
import type { Split } from '../db/dataset-tables.ts';
import type { DatasetRow } from '../db/schema.ts';
import { openRows } from '../db/sealed-columns.ts';
import type { Json } from '../lib/canonical-json.ts';
import type { ChatMessage } from '../lib/chat-message.ts';
import { must } from '../lib/errors.ts';
import type { Mode } from '../modes/mode.ts';
import { asAnswer } from '../modes/output.ts';
import { inputKey, renderPrompt } from '../modes/prompt.ts';
import { cutTexts } from './core/clean.ts';
import { datasetSha256 } from './core/dataset-name.ts';
import type { Example } from './core/example.ts';
import { byHash } from './core/reduce.ts';
import { partsByInput, splitOfInput } from './core/split.ts';

/** A pair of answers to one prompt, of which the user liked the first better. */
export interface Preference {
  /** By the input: all pairs about one input are on one side, that of the examples of this input if there are any. */
  readonly split: Split;
  readonly messages: readonly ChatMessage[];
  readonly chosen: string;
  readonly rejected: string;
  readonly sha256: string;
  /** The adapter that wrote the rejected answer; null: the bare base. */
  readonly adapterId: string | null;
}

/** An answer that the user liked or disliked, with nothing to compare it to. */
export interface Thumb {
  /** As that of preferences. */
  readonly split: Split;
  readonly messages: readonly ChatMessage[];
  readonly answer: string;
  readonly isGood: boolean;
  readonly sha256: string;
  /** The adapter that wrote the answer; null: the bare base. */
  readonly adapterId: string | null;
}

/** What a trainer reads: each list in the order of its hashes. */
export interface TrainingSet {
  readonly examples: readonly Example[];
  readonly preferences: readonly Preference[];
  readonly thumbs: readonly Thumb[];
}

/** The texts of a dataset; null when they are no longer there, because a change or a delete has been folded or has
 *  erased some since: fold again. */
export async function loadDataset(
  db: Db,
  mode: Mode,
  row: DatasetRow,
): Promise<TrainingSet | null> {
  const examples = await readExamples(db, row);
  const judged = await readJudged(db, mode, row, partsByInput(examples));
  if (datasetSha256(examples, judged) !== row.sha256) return null;
  return {
    examples: examples.map(({ inputSha256: _, ...example }) => example),
    preferences: judged.flatMap((one) => preferenceOf(mode, one)),
    thumbs: judged.flatMap((one) => thumbOf(mode, one)),
  };
}

async function readExamples(db: Db, { userId, mode }: DatasetRow) {
  const rows = await db
    .selectFrom('examples')
    .select(['id', 'split', 'messages', 'target', 'sha256', 'inputSha256'])
    .where('userId', '=', userId)
    .where('mode', '=', mode)
    .where('untilSeq', 'is', null)
    .where('messages', 'is not', null)
    .execute();
  return (await openRows(db, 'examples', userId, rows))
    .map((row) => ({
      split: row.split,
      messages: must(row.messages, 'a version with messages was asked for'),
      target: must(row.target, 'messages and target are erased together'),
      sha256: row.sha256,
      inputSha256: row.inputSha256,
    }))
    .sort(byHash);
}

/** A row of preferences: one side is null where a thumb is alone. */
interface Judged extends Omit<Preference, 'chosen' | 'rejected'> {
  readonly chosen: string | null;
  readonly rejected: string | null;
}

async function readJudged(
  db: Db,
  mode: Mode,
  { userId }: DatasetRow,
  parts: ReadonlyMap<string, Split>,
): Promise<readonly Judged[]> {
  const rows = await db
    .selectFrom('preferences')
    .selectAll()
    .where('userId', '=', userId)
    .where('mode', '=', mode.key)
    .where('untilSeq', 'is', null)
    .execute();
  return (await openRows(db, 'preferences', userId, rows))
    .map(({ chosen, rejected, sha256, adapterId, ...row }) => {
      const input = must(row.input, 'a preference has an input until another replaces it');
      const context = cutTexts(row.context ?? {}) as Readonly<Record<string, Json>>;
      return {
        split: parts.get(row.inputSha256) ?? splitOfInput(inputKey(input)),
        messages: renderPrompt(mode, cutTexts(input), context),
        ...{ chosen, rejected, sha256, adapterId },
      };
    })
    .sort(byHash);
}

/** None for a lone thumb, nor where the chosen text is no answer of the mode. */
function preferenceOf(mode: Mode, { chosen, rejected, ...row }: Judged): Preference[] {
  if (chosen === null || rejected === null) return [];
  const answer = asAnswer(mode, chosen);
  return answer === null ? [] : [{ ...row, chosen: answer, rejected }];
}

/** None for a pair, nor where the liked text is no answer of the mode. */
function thumbOf(mode: Mode, { chosen, rejected, ...row }: Judged): Thumb[] {
  if (chosen !== null && rejected !== null) return [];
  const isGood = chosen !== null;
  const answer = isGood ? asAnswer(mode, chosen) : rejected;
  return answer === null ? [] : [{ ...row, answer, isGood }];
}
