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
import type { Example } from './core/example.ts';
import { byHash, datasetSha256 } from './core/reduce.ts';
import { splitOfInput } from './core/split.ts';

/** A pair of answers to one prompt, of which the user liked the first better. */
export interface Preference {
  /** By the input: all pairs about one input are on one side. */
  readonly split: Split;
  readonly messages: readonly ChatMessage[];
  readonly chosen: string;
  readonly rejected: string;
  readonly sha256: string;
  /** The adapter that wrote the rejected answer; null: the bare base. */
  readonly adapterId: string | null;
}

/** What a trainer reads: both lists in the order of their hashes. */
export interface TrainingSet {
  readonly examples: readonly Example[];
  readonly preferences: readonly Preference[];
}

/** The texts of a dataset; null when they are no longer there, because a change or a delete has been folded or has
 *  erased some since: fold again. */
export async function loadDataset(
  db: Db,
  mode: Mode,
  row: DatasetRow,
): Promise<TrainingSet | null> {
  const examples = await readExamples(db, row);
  const preferences = await readPreferences(db, mode, row);
  const hashes = (list: readonly { sha256: string }[]) =>
    list.map((item) => item.sha256).join('\n');
  const isWhole = datasetSha256(hashes(examples), hashes(preferences)) === row.sha256;
  return isWhole ? { examples, preferences } : null;
}

async function readExamples(db: Db, { userId, mode }: DatasetRow): Promise<readonly Example[]> {
  const rows = await db
    .selectFrom('examples')
    .select(['id', 'split', 'messages', 'target', 'sha256'])
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
    }))
    .sort(byHash);
}

async function readPreferences(
  db: Db,
  mode: Mode,
  { userId }: DatasetRow,
): Promise<readonly Preference[]> {
  const rows = await db
    .selectFrom('preferences')
    .selectAll()
    .where('userId', '=', userId)
    .where('mode', '=', mode.key)
    .where('untilSeq', 'is', null)
    .execute();
  return (await openRows(db, 'preferences', userId, rows))
    .map((row) => ({
      split: splitOfInput(
        inputKey(must(row.input, 'a preference has texts until another replaces it')),
      ),
      messages: renderPrompt(
        mode,
        must(row.input, 'a preference has texts until another replaces it'),
        (row.context ?? {}) as Readonly<Record<string, Json>>,
      ),
      chosen: asAnswer(mode, must(row.chosen, 'a preference has texts until another replaces it')),
      rejected: must(row.rejected, 'a preference has texts until another replaces it'),
      sha256: row.sha256,
      adapterId: row.adapterId,
    }))
    .filter((pair): pair is typeof pair & { chosen: string } => pair.chosen !== null)
    .sort(byHash);
}
