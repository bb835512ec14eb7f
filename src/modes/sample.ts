// Made-up values of a JSON schema, with which templates are tried before any user's data reaches them.

import type { Json } from '../lib/canonical-json.ts';
import type { JsonSchema } from './json-schema.ts';
import type { Variables } from './template.ts';

/** The names that always have a value; others are records that were looked up. */
const GIVEN = ['input', 'record'];

/** What a template may name, and the schema of each. */
export type Scope = Readonly<Record<string, JsonSchema>>;

/** Long enough for rules that ask for some words. */
const SAMPLE_TEXT = Array.from({ length: 40 }, (_, i) => `word${i}`).join(' ');

/** Values for a template's names: full ones, minimal ones, and full ones where what is looked up was not found. */
export function trialsOf(scope: Scope): readonly Variables[] {
  const given = (make: (schema: JsonSchema, name: string) => Json): Variables =>
    Object.fromEntries(Object.entries(scope).map(([name, schema]) => [name, make(schema, name)]));
  return [
    given((schema) => sampleOf(schema, 'full')),
    given((schema) => sampleOf(schema, 'minimal')),
    given((schema, name) => (GIVEN.includes(name) ? sampleOf(schema, 'full') : null)),
  ];
}

/** A value of the schema: with every field (`full`), or with the required ones only and the shortest text. */
function sampleOf(schema: JsonSchema, extent: 'full' | 'minimal'): Json {
  const options = schema.enum as readonly Json[] | undefined;
  if (options?.[0] !== undefined) return options[0];
  switch (schema.type) {
    case 'object':
      return sampleObject(schema, extent);
    case 'array':
      return extent === 'minimal' ? [] : [sampleOf(fieldsOf(schema, 'items'), extent)];
    case 'integer':
    case 'number':
      return typeof schema.minimum === 'number' ? schema.minimum : 1;
    case 'boolean':
      return extent === 'full';
    case 'null':
      return null;
    default:
      return extent === 'full' ? SAMPLE_TEXT : 'x'.repeat(Number(schema.minLength ?? 0));
  }
}

function sampleObject(schema: JsonSchema, extent: 'full' | 'minimal'): Json {
  const required = (schema.required ?? []) as readonly string[];
  const fields = Object.entries(fieldsOf(schema, 'properties'))
    .filter(([name]) => extent === 'full' || required.includes(name))
    .map(([name, field]) => [name, sampleOf(field as JsonSchema, extent)]);
  return Object.fromEntries(fields);
}

function fieldsOf(schema: JsonSchema, key: 'properties' | 'items'): JsonSchema {
  return (schema[key] ?? {}) as JsonSchema;
}
