// The records that prompts show besides their input: looked up the same way for training and for answering.

import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { Db } from '../db/database.ts';
import type { Json } from '../lib/canonical-json.ts';
import type { Mode } from '../modes/mode.ts';
import { type Lookup, lookupKey, lookupsOf } from '../modes/prompt.ts';
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
  for (const { source, field } of fieldsOf(lookups)) {
    const wanted = lookups.filter(({ rule }) => rule.source === source && rule.field === field);
    const hashes = [...new Set(wanted.map(({ key }) => md5(key)))];
    // as the index has it, which takes texts of any length only as their hash
    const hash = sql<string>`md5(lower((data->>${sql.lit(field)}) collate "C"))`;
    const rows = await db
      .selectFrom('records')
      .select(['source', 'recordId', 'data'])
      .where('userId', '=', userId)
      .where('source', '=', source)
      .where('deleted', '=', false)
      .where(hash, 'in', hashes)
      .execute();
    matches.push(...rows);
  }
  return findAmong(matches, lookups);
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
export function keyOf(record: LiveRecord, field: string): string {
  const value = (record.data as Readonly<Record<string, Json>>)[field];
  return typeof value === 'string' ? lookupKey(value) : '';
}

function fieldsOf(lookups: readonly Lookup[]): { source: string; field: string }[] {
  const fields = lookups.map(({ rule: { source, field } }) => ({ source, field }));
  return [...new Map(fields.map((pair) => [nameOf(pair.source, pair.field, ''), pair])).values()];
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

function nameOf(source: string, field: string, key: string): string {
  return JSON.stringify([source, field, key]);
}
