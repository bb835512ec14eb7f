// The records that prompts show besides their input, found among records in memory: on a server that read them from its
// database, and on a device that has them.

import type { Json } from '../../lib/canonical-json.ts';
import { type Lookup, lookupKey } from '../../modes/prompt.ts';
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

/** The key under which lookups of `field` find the record. */
export function keyOf(record: Pick<LiveRecord, 'data'>, field: string): string {
  const value = (record.data as Readonly<Record<string, Json>>)[field];
  return typeof value === 'string' ? lookupKey(value) : '';
}

/** The fields that the lookups look at, each once. */
export function fieldsOf(lookups: readonly Lookup[]): { source: string; field: string }[] {
  const fields = lookups.map(({ rule: { source, field } }) => ({ source, field }));
  return [...new Map(fields.map((pair) => [nameOf(pair.source, pair.field, ''), pair])).values()];
}

function nameOf(source: string, field: string, key: string): string {
  return JSON.stringify([source, field, key]);
}
