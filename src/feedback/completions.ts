// The answers that were given, by the server or by a device: kept to be shown, repeated and rated.

import { randomUUID } from 'node:crypto';
import type { PromptContext } from '../changes/core/find-records.ts';
import type { FinishReason } from '../db/answer-tables.ts';
import type { Db } from '../db/database.ts';

import { openPage, type Page, type PageArgs, page } from '../db/page.ts';
import type { CompletionRow } from '../db/schema.ts';
import { keysOf, openRows, sealRow } from '../db/sealed-columns.ts';

import { lockUser } from '../db/user-row.ts';
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
  /** The user's forgetCount from before the first look at records; absent: nothing was looked at. */
  readonly forgetCount?: number;
}

/** Stores an answer; of several with one clientId the first is kept and returned. An answer during which records of the
 *  user were deleted is returned, but not kept: prompt or adapter may have held them. Throws UNAUTHENTICATED when the user
 *  was erased meanwhile. */
export function storeCompletion(
  db: Db,
  userId: string,
  completion: NewCompletion,
): Promise<CompletionRow> {
  const { context, forgetCount } = completion;
  const row = rowOf(userId, completion);
  return db.transaction().execute(async (tx) => {
    const user = await lockUser(tx, userId);
    if (forgetCount !== undefined && forgetCount !== user.forgetCount) return unkept(row);
    const keys = await keysOf(tx, userId);
    const inputSha256 = keys.tag(inputKey(completion.input));
    const stored = await tx
      .insertInto('completions')
      .values({ ...sealRow(keys, 'completions', row), inputSha256 })
      .onConflict((conflict) => conflict.columns(['userId', 'clientId']).doNothing())
      .returning('id')
      .executeTakeFirst();
    if (stored === undefined) return firstOf(tx, userId, completion.clientId);
    const shown = context.shown.map((ref) => ({ completionId: stored.id, userId, ...ref }));
    if (shown.length > 0) await tx.insertInto('completionRecords').values(shown).execute();
    return must(await completionById(tx, userId, stored.id), 'the completion that was stored');
  });
}

function rowOf(userId: string, { context, adapter, forgetCount: _, ...completion }: NewCompletion) {
  return {
    ...completion,
    id: completion.id ?? randomUUID(),
    userId,
    // a model may write U+0000, which devices need not be able to show
    text: completion.text.replaceAll('\0', '\ufffd'),
    context: context.values,
    adapterId: adapter?.id ?? null,
    dataThrough: adapter === null ? null : (adapter.dataThrough ?? 0),
  };
}

/** An answer of which nothing is kept, as its caller is told of it. */
export function unstored(userId: string, completion: NewCompletion): CompletionRow {
  return unkept(rowOf(userId, completion));
}

/** What its caller is told of an answer that is not kept. */
function unkept(row: ReturnType<typeof rowOf>): CompletionRow {
  const erased = { input: null, context: null, inputSha256: '' };
  const unrated = { verdict: null, better: null, preferredId: null, ratedAt: null };
  return { ...row, ...erased, ...unrated, seq: 0 };
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
  const rows = await completionsOf(db, userId).where('clientId', '=', clientId).execute();
  return (await openCompletions(db, userId, rows))[0] ?? null;
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
export async function completionsById(
  db: Db,
  userId: string,
  ids: readonly string[],
): Promise<CompletionRow[]> {
  if (ids.length === 0) return [];
  const rows = await completionsOf(db, userId).where('id', 'in', ids).execute();
  return openCompletions(db, userId, rows);
}

/** Rows of the user's completions; those that were erased have an empty text. */
export async function openCompletions<Row extends { readonly text: Uint8Array | null }>(
  db: Db,
  userId: string,
  rows: readonly Row[],
) {
  const opened = await openRows(db, 'completions', userId, rows);
  return opened.map((row) => ({ ...row, text: row.text ?? '' }));
}

/** A page of the user's completions, newest first. */
export async function pageCompletions(
  db: Db,
  userId: string,
  modes: readonly string[],
  args: PageArgs,
): Promise<Page<CompletionRow>> {
  const rows = completionsOf(db, userId).where('mode', 'in', modes);
  const found = await page(rows, { column: 'seq', order: 'desc' }, args);
  const { edges, pageInfo } = await openPage(db, 'completions', userId, found);
  const shown = edges.map(({ cursor, node }) => ({
    cursor,
    node: { ...node, text: node.text ?? '' },
  }));
  return { edges: shown, pageInfo };
}

function completionsOf(db: Db, userId: string) {
  return db.selectFrom('completions').selectAll().where('userId', '=', userId);
}
