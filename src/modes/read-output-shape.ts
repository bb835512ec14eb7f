// The JSON that a mode's answers consist of, as far as it can be held to byte by byte. In: a JSON schema. Out: plain data, which
// the engine and the training data are checked against. docs/modes.md says which part of JSON Schema that is.

import type { Json } from '../lib/canonical-json.ts';
import { type JsonSchema, SchemaError } from './json-schema.ts';
import { MAX_DIGITS, type OutputShape, type Range } from './output-shape.ts';

const GREATEST_INTEGER = 10 ** MAX_DIGITS - 1;

/** Keywords that only describe. */
const NOTES = ['$schema', '$comment', 'title', 'description'];

type Read = (schema: JsonSchema, path: readonly string[]) => OutputShape;

/** What each type's schema may say besides `type`, and what it means. */
const TYPES: Readonly<Record<string, { readonly keywords: readonly string[]; read: Read }>> = {
  object: {
    keywords: ['properties', 'required', 'additionalProperties'],
    read: readObject,
  },
  array: {
    keywords: ['items', 'minItems', 'maxItems'],
    read: (schema, path) => ({
      kind: 'array',
      items: readShape(asSchema(schema.items, [...path, 'items']), [...path, 'items']),
      length: rangeOf(schema, ['minItems', 'maxItems'], path),
    }),
  },
  string: {
    keywords: ['minLength', 'maxLength'],
    read: (schema, path) => ({
      kind: 'string',
      length: rangeOf(schema, ['minLength', 'maxLength'], path),
    }),
  },
  integer: { keywords: ['minimum', 'maximum'], read: readInteger },
  number: { keywords: [], read: () => ({ kind: 'number' }) },
  boolean: { keywords: [], read: () => ({ kind: 'literal', texts: ['true', 'false'] }) },
  null: { keywords: [], read: () => ({ kind: 'literal', texts: ['null'] }) },
};

/** Reads the schema of a mode's output, a valid JSON schema. Throws SchemaError with the place of what cannot be held to. */
export function readOutputShape(schema: JsonSchema): OutputShape {
  if (schema.type !== 'object') throw unfit('must be of type object', ['type']);
  return readShape(schema, []);
}

function readShape(schema: JsonSchema, path: readonly string[]): OutputShape {
  if (schema.enum !== undefined || schema.const !== undefined) return readLiterals(schema, path);
  const names = [schema.type ?? []].flat() as readonly string[];
  if (names.length === 0) throw unfit('needs a type, an enum or a const', path);
  if (names.includes('integer') && names.includes('number'))
    throw unfit('cannot be both integer and number', [...path, 'type']);
  refuseOthers(schema, ['type', ...names.flatMap((name) => TYPES[name]?.keywords ?? [])], path);
  const shapes = names.map((name) => typeOf(name, path).read(schema, path));
  const [only] = shapes;
  return only !== undefined && shapes.length === 1 ? only : { kind: 'either', shapes };
}

function typeOf(name: string, path: readonly string[]) {
  const type = TYPES[name];
  if (type === undefined) throw unfit(`cannot be ${name}`, [...path, 'type']);
  return type;
}

function readLiterals(schema: JsonSchema, path: readonly string[]): OutputShape {
  refuseOthers(schema, ['enum', 'const'], path);
  const values = (schema.enum ?? [schema.const ?? null]) as readonly Json[];
  if (schema.enum !== undefined && schema.const !== undefined)
    throw unfit('has both enum and const', path);
  if (values.some((value) => typeof value === 'object' && value !== null))
    throw unfit('lists something else than texts, numbers, true, false and null', path);
  return { kind: 'literal', texts: [...new Set(values.map((value) => JSON.stringify(value)))] };
}

function readObject(schema: JsonSchema, path: readonly string[]): OutputShape {
  if (schema.additionalProperties !== false)
    throw unfit('must say additionalProperties: false', path);
  const properties = asSchema(schema.properties ?? {}, [...path, 'properties']);
  const required = (schema.required ?? []) as readonly string[];
  const unknown = required.find((name) => !Object.hasOwn(properties, name));
  if (unknown !== undefined) throw unfit(`requires the unknown field "${unknown}"`, path);
  const fields = Object.entries(properties).map(([name, field]) => {
    const place = [...path, 'properties', name];
    const shape = readShape(asSchema(field, place), place);
    return { name, shape, isRequired: required.includes(name) };
  });
  return { kind: 'object', fields };
}

function readInteger(schema: JsonSchema, path: readonly string[]): OutputShape {
  const minimum = Math.ceil(Math.max(Number(schema.minimum ?? -Infinity), -GREATEST_INTEGER));
  const maximum = Math.floor(Math.min(Number(schema.maximum ?? Infinity), GREATEST_INTEGER));
  if (minimum > maximum) throw unfit('leaves no integer between minimum and maximum', path);
  return { kind: 'integer', minimum, maximum };
}

function rangeOf(
  schema: JsonSchema,
  [least, most]: readonly [string, string],
  path: readonly string[],
): Range {
  const minimum = Number(schema[least] ?? 0);
  const maximum = schema[most] === undefined ? null : Number(schema[most]);
  if (maximum !== null && minimum > maximum)
    throw unfit(`has a ${least} above its ${most}`, [...path, least]);
  return { minimum, maximum };
}

function refuseOthers(schema: JsonSchema, known: readonly string[], path: readonly string[]): void {
  const other = Object.keys(schema).find((key) => ![...known, ...NOTES].includes(key));
  if (other === undefined) return;
  throw unfit(`"${other}" is not supported here, only ${known.join(', ')}`, [...path, other]);
}

function asSchema(value: Json | undefined, path: readonly string[]): JsonSchema {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as JsonSchema;
  throw unfit('needs a schema that is an object', path);
}

function unfit(reason: string, path: readonly string[]): SchemaError {
  return new SchemaError(`cannot be held to: ${reason}`, { path });
}
