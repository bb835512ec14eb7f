// Relay connections by keyset: a page is read by the key of its neighbour, never by counting rows.

import { type SelectQueryBuilder, sql } from 'kysely';
import { AppError, must } from '../lib/errors.ts';
import type { Db } from './database.ts';
import type { DatabaseSchema } from './schema.ts';
import { type Opened, openRows, type SealedTable } from './sealed-columns.ts';

/** A connection's arguments as GraphQL hands them over: first/after or last/before. */
export interface PageArgs {
  readonly first?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly last?: number | null | undefined;
  readonly before?: string | null | undefined;
}

/** A Relay connection over rows. */
export interface Page<Row> {
  readonly edges: readonly { readonly cursor: string; readonly node: Row }[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
}

const DEFAULT_COUNT = 20;
const MAX_COUNT = 100;

/** What the arguments ask for. */
interface Range {
  readonly isForward: boolean;
  readonly count: number;
  /** The key of the row just outside the page; null: from the end. */
  readonly from: number | null;
}

/** Reads one page of the query's rows, ordered by a whole-number column that is unique among them.
 *  Throws BAD_INPUT on arguments that are no page. */
export async function page<
  Table extends keyof DatabaseSchema,
  Column extends string,
  Row extends Record<Column, number>,
>(
  query: SelectQueryBuilder<DatabaseSchema, Table, Row>,
  by: { column: Column; order: 'asc' | 'desc' },
  args: PageArgs,
): Promise<Page<Row>> {
  const range = parseArgs(args);
  const isAscending = (by.order === 'asc') === range.isForward;
  const key = sql.ref<number>(by.column);
  const comparison = sql.raw(isAscending ? '>' : '<');
  const ordered = query.orderBy(key, isAscending ? 'asc' : 'desc').limit(range.count + 1);
  const rows =
    range.from === null
      ? await ordered.execute()
      : await ordered.where(sql<boolean>`${key} ${comparison} ${range.from}::bigint`).execute();
  return toPage(rows as unknown as Row[], by.column, range);
}

/** As openRows, for a page of them. */
export async function openPage<T extends SealedTable, Row extends object>(
  db: Db,
  table: T,
  userId: string,
  { edges, pageInfo }: Page<Row>,
): Promise<Page<Opened<T, Row>>> {
  const nodes = await openRows(
    db,
    table,
    userId,
    edges.map(({ node }) => node),
  );
  const opened = edges.map(({ cursor }, i) => ({ cursor, node: must(nodes[i], 'a row per edge') }));
  return { edges: opened, pageInfo };
}

function toPage<Column extends string, Row extends Record<Column, number>>(
  rows: readonly Row[],
  column: Column,
  range: Range,
): Page<Row> {
  const shown = rows.slice(0, range.count);
  const edges = (range.isForward ? shown : shown.toReversed()).map((node) => ({
    cursor: encodeKey(node[column]),
    node,
  }));
  const hasMore = rows.length > range.count;
  // behind us lies at least the row that the cursor came from
  const hasBehind = range.from !== null;
  return {
    edges,
    pageInfo: {
      hasNextPage: range.isForward ? hasMore : hasBehind,
      hasPreviousPage: range.isForward ? hasBehind : hasMore,
      startCursor: edges.at(0)?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}

function parseArgs(args: PageArgs): Range {
  const first = args.first ?? null;
  const after = args.after ?? null;
  const last = args.last ?? null;
  const before = args.before ?? null;
  const isForward = last === null && before === null;
  if (!isForward && (first !== null || after !== null)) {
    throw new AppError('BAD_INPUT', 'A page is first/after or last/before, not a mixture of both.');
  }
  return isForward
    ? { isForward, count: parseCount('first', first), from: parseCursor('after', after) }
    : { isForward, count: parseCount('last', last), from: parseCursor('before', before) };
}

function parseCount(name: string, count: number | null): number {
  if (count === null) return DEFAULT_COUNT;
  if (Number.isInteger(count) && count >= 0 && count <= MAX_COUNT) return count;
  throw new AppError('BAD_INPUT', `${name} is ${count}; it must be from 0 to ${MAX_COUNT}.`);
}

function encodeKey(key: number): string {
  return Buffer.from(`key:${key}`).toString('base64url');
}

function parseCursor(name: string, cursor: string | null): number | null {
  if (cursor === null) return null;
  const key = Number(Buffer.from(cursor, 'base64url').toString().slice('key:'.length));
  if (Number.isSafeInteger(key) && encodeKey(key) === cursor) return key;
  throw new AppError(
    'BAD_INPUT',
    `${name} is ${JSON.stringify(cursor)}, which is no cursor of this list.`,
  );
}
