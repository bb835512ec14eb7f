// The records that prompts show besides their input: looked up the same way for training and for answering.

import { sql } from 'kysely';
import type { Db } from '../db/database.ts';
import { keysOf, openRowsWith } from '../db/sealed-columns.ts';
import type { Json } from '../lib/canonical-json.ts';
import { must } from '../lib/errors.ts';
import type { Mode } from '../modes/mode.ts';
import { type Lookup, lookupKey, lookupsOf } from '../modes/prompt.ts';
import type { UserKeys } from '../sealing/user-keys.ts';
import { distinctRefs, type RecordRef } from './record-ref.ts';

/** A record that is not deleted. */
export interface LiveRecord extends RecordRef {
  readonly data: Json;
}

/** What a lookup finds among given records: of several matches the one whose recordId sorts first, else null. */
export type Finder = (lookup: Lookup) => LiveRecord | null;

/** A finder over records in memory. */
export function findAmong(records: readonly LiveRecord[], lookups: readonly Lookup[]): Finder {
  const found = new Map<string, LiveRecord>();
  for (const { source, field } of fieldsOf(lookups)) {
    for (const record of records.filter((candidate) => candidate.source === source)) {
      const name = nameOf(source, field, keyOf(record, field));
      const rival = found.get(name);
      if (rival === undefined || record.recordId < rival.recordId) found.set(name, record);
    }
  }
  return ({ rule, key }) => found.get(nameOf(rule.source, rule.field, key)) ?? null;
}

/** A finder over the user's records in the database; one query for each field that is looked at. */
export async function findInDatabase(
  db: Db,
  userId: string,
  lookups: readonly Lookup[],
): Promise<Finder> {
  const matches: LiveRecord[] = [];
  if (lookups.length === 0) return findAmong(matches, lookups);
  const keys = await keysOf(db, userId);
  for (const { source, field } of fieldsOf(lookups)) {
    const wanted = lookups.filter(({ rule }) => rule.source === source && rule.field === field);
    const tags = [...new Set(wanted.map(({ key }) => keys.tag(key)))];
    const rows = await db
      .selectFrom('recordLookups as lookup')
      .innerJoin('records', (join) =>
        join
          .onRef('records.userId', '=', 'lookup.userId')
          .onRef('records.source', '=', 'lookup.source')
          .onRef('records.recordId', '=', 'lookup.recordId'),
      )
      .select(['records.source', 'records.recordId', 'records.data'])
      .where('lookup.userId', '=', userId)
      .where('lookup.source', '=', source)
      .where('lookup.field', '=', field)
      .where(sql<boolean>`lookup.key = any(${tags}::text[])`)
      .where('records.deleted', '=', false)
      .execute();
    matches.push(...openRecords(keys, rows));
  }
  return findAmong(matches, lookups);
}

/** Rows of records that are not deleted. */
export function openRecords(
  keys: UserKeys,
  rows: readonly (RecordRef & { readonly data: Uint8Array | null })[],
): LiveRecord[] {
  return openRowsWith(keys, 'records', rows).map(({ source, recordId, data }) => ({
    ...{ source, recordId },
    data: must(data, 'a record that is not deleted has data'),
  }));
}

/** What a prompt shows besides its input, and whose content that is. */
export interface PromptContext {
  /** The names of the mode's context rules, each with the data of the record it found; unfound ones are absent. */
  readonly values: Readonly<Record<string, Json>>;
  readonly shown: readonly RecordRef[];
}

/** What the finder finds for the lookups of one input. */
export function contextFrom(lookups: readonly Lookup[], find: Finder): PromptContext {
  const found = lookups.flatMap((lookup) => {
    const record = find(lookup);
    return record === null ? [] : [{ name: lookup.rule.name, record }];
  });
  return {
    values: Object.fromEntries(found.map(({ name, record }) => [name, record.data])),
    shown: distinctRefs(found.map(({ record: { source, recordId } }) => ({ source, recordId }))),
  };
}

/** What the mode's prompt shows besides this input for this user now. */
export async function contextOf(
  db: Db,
  userId: string,
  mode: Mode,
  input: Json,
): Promise<PromptContext> {
  const lookups = lookupsOf(mode, input);
  return contextFrom(lookups, await findInDatabase(db, userId, lookups));
}

/** The key under which lookups of `field` find the record. */
export function keyOf(record: Pick<LiveRecord, 'data'>, field: string): string {
  const value = (record.data as Readonly<Record<string, Json>>)[field];
  return typeof value === 'string' ? lookupKey(value) : '';
}

function fieldsOf(lookups: readonly Lookup[]): { source: string; field: string }[] {
  const fields = lookups.map(({ rule: { source, field } }) => ({ source, field }));
  return [...new Map(fields.map((pair) => [nameOf(pair.source, pair.field, ''), pair])).values()];
}

function nameOf(source: string, field: string, key: string): string {
  return JSON.stringify([source, field, key]);
}
