// The answers that were given, by the server or by a device: kept to be shown, repeated and rated.

import type { PromptContext } from '../changes/context.ts';
import type { Db } from '../db/database.ts';
import { type Page, type PageArgs, page } from '../db/page.ts';
import type { CompletionRow, FinishReason } from '../db/schema.ts';
import type { Json } from '../lib/canonical-json.ts';
import { must } from '../lib/errors.ts';
import { inputKey } from '../modes/prompt.ts';

/** An answer to store. */
export interface NewCompletion {
  /** Chosen by who had to name the completion before its end, as a stream has. */
  readonly id?: string | undefined;
  readonly clientId: string | null;
  readonly mode: string;
  readonly input: Json;
  readonly context: PromptContext;
  readonly text: string;
  /** What answered; null: the bare base. A shipped adapter knows no change of the user's: null counts as 0. */
  readonly adapter: { readonly id: string; readonly dataThrough: number | null } | null;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly finishReason: FinishReason;
  readonly createdAt: Date;
}

/** Stores an answer; of several with one clientId the first is kept and returned. */
export function storeCompletion(
  db: Db,
  userId: string,
  { context, adapter, ...completion }: NewCompletion,
): Promise<CompletionRow> {
  const row = {
    ...completion,
    userId,
    // a model may write U+0000, which the database cannot keep
    text: completion.text.replaceAll('\0', '\ufffd'),
    input: JSON.stringify(completion.input),
    context: JSON.stringify(context.values),
    inputSha256: inputKey(completion.input),
    adapterId: adapter?.id ?? null,
    dataThrough: adapter === null ? null : (adapter.dataThrough ?? 0),
  };
  return db.transaction().execute(async (tx) => {
    const stored = await tx
      .insertInto('completions')
      .values(row)
      .onConflict((conflict) => conflict.columns(['userId', 'clientId']).doNothing())
      .returningAll()
      .executeTakeFirst();
    if (stored === undefined) return firstOf(tx, userId, completion.clientId);
    const shown = context.shown.map((ref) => ({ completionId: stored.id, userId, ...ref }));
    if (shown.length > 0) await tx.insertInto('completionRecords').values(shown).execute();
    return stored;
  });
}

async function firstOf(db: Db, userId: string, clientId: string | null): Promise<CompletionRow> {
  const first = must(clientId, 'only a clientId can conflict');
  return must(await completionByClientId(db, userId, first), 'the completion it conflicts with');
}

/** The user's completion of that clientId; null when there is none. */
export async function completionByClientId(
  db: Db,
  userId: string,
  clientId: string,
): Promise<CompletionRow | null> {
  const completion = await completionsOf(db, userId)
    .where('clientId', '=', clientId)
    .executeTakeFirst();
  return completion ?? null;
}

/** The user's completion of that id; null when there is none. */
export async function completionById(
  db: Db,
  userId: string,
  id: string,
): Promise<CompletionRow | null> {
  const [completion] = await completionsById(db, userId, [id]);
  return completion ?? null;
}

/** The user's completions of these ids, in any order. */
export function completionsById(
  db: Db,
  userId: string,
  ids: readonly string[],
): Promise<CompletionRow[]> {
  if (ids.length === 0) return Promise.resolve([]);
  return completionsOf(db, userId).where('id', 'in', ids).execute();
}

/** A page of the user's completions, newest first. */
export function pageCompletions(
  db: Db,
  userId: string,
  filter: { mode?: string | null | undefined },
  args: PageArgs,
): Promise<Page<CompletionRow>> {
  const all = completionsOf(db, userId);
  const mode = filter.mode ?? null;
  const rows = mode === null ? all : all.where('mode', '=', mode);
  return page(rows, { column: 'seq', order: 'desc' }, args);
}

function completionsOf(db: Db, userId: string) {
  return db.selectFrom('completions').selectAll().where('userId', '=', userId);
}
