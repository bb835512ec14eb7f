// The scalars beyond GraphQL's own, parsed strictly: what gets past here is what the types say.

import { GraphQLError, Kind, print, type ValueNode } from 'graphql';
import { scalarType } from 'nexus';
import type { Json } from '../src/lib/canonical-json.ts';
import { shown } from '../src/lib/shown.ts';

/** Deeper values would overflow the stack of some recursive reader; no source comes near it. */
const MAX_JSON_DEPTH = 64;

/** Date, time and offset, as RFC 3339 has them; the offset must be there, so that the text names one moment. */
const DATE_TIME = /^(\d{4})-(\d\d)-(\d\d)T\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

/** A moment, as ISO 8601 text. */
export const DateTime = scalarType({
  name: 'DateTime',
  description: 'A moment as ISO 8601 text with seconds and offset, such as 2026-01-31T12:00:00Z.',
  sourceType: 'Date',
  serialize: (value) => (value as Date).toISOString(),
  parseValue: parseDateTime,
  parseLiteral: (node) => parseDateTime(node.kind === Kind.STRING ? node.value : undefined, node),
});

/** A plain JSON value. */
export const JSONValue = scalarType({
  name: 'JSON',
  description: 'A plain JSON value, not a string holding JSON.',
  sourceType: { module: import.meta.filename, export: 'Json' },
  serialize: (value) => value,
  parseValue: (value) => checkDepth(value as Json, 1),
  parseLiteral: (node, variables) => checkDepth(jsonOf(node, variables ?? {}), 1),
});

/** A position in an adapter feed. */
export const Cursor = scalarType({
  name: 'Cursor',
  description: "Opaque, signed position in one user's adapter feed.",
  sourceType: 'string',
  serialize: (value) => value,
  parseValue: parseCursor,
  parseLiteral: (node) => parseCursor(node.kind === Kind.STRING ? node.value : undefined, node),
});

/** What the JSON scalar stands for; Nexus looks for it here. */
export type { Json };

function parseDateTime(value: unknown, node?: ValueNode): Date {
  if (typeof value === 'string' && namesRealDay(value)) {
    const date = new Date(value);
    if (!Number.isNaN(date.getTime())) return date;
  }
  const expected = 'ISO 8601 text with seconds and offset, such as 2026-01-31T12:00:00Z';
  throw new GraphQLError(`DateTime is ${given(value, node)}: expected ${expected}.`);
}

/** Date rolls 30 February over into March; nobody means that. */
function namesRealDay(text: string): boolean {
  const [, year, month, day] = (DATE_TIME.exec(text) ?? []).map(Number);
  if (year === undefined || month === undefined || day === undefined || year === 0) return false;
  return day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
}

function parseCursor(value: unknown, node?: ValueNode): string {
  if (typeof value === 'string') return value;
  throw new GraphQLError(`Cursor is ${given(value, node)}: expected the text of a cursor.`);
}

function given(value: unknown, node: ValueNode | undefined): string {
  return value === undefined && node !== undefined ? print(node) : shown(value);
}

function checkDepth(value: Json, depth: number): Json {
  if (value === null || typeof value !== 'object') return value;
  if (depth > MAX_JSON_DEPTH) {
    throw new GraphQLError(`JSON is nested deeper than ${MAX_JSON_DEPTH} levels: flatten it.`);
  }
  for (const item of Object.values(value)) checkDepth(item, depth + 1);
  return value;
}

/** The value that a literal in the document spells; a missing variable counts as null. */
function jsonOf(node: ValueNode, variables: { [name: string]: unknown }): Json {
  switch (node.kind) {
    case Kind.NULL:
      return null;
    case Kind.STRING:
    case Kind.BOOLEAN:
    case Kind.ENUM:
      return node.value;
    case Kind.INT:
    case Kind.FLOAT:
      return finite(node.value);
    case Kind.LIST:
      return node.values.map((item) => jsonOf(item, variables));
    case Kind.OBJECT:
      return Object.fromEntries(
        node.fields.map((field) => [field.name.value, jsonOf(field.value, variables)]),
      );
    case Kind.VARIABLE:
      // a variable was parsed by this scalar, or by one whose values are JSON as well
      return (variables[node.name.value] ?? null) as Json;
  }
}

function finite(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value)) return value;
  throw new GraphQLError(`JSON holds ${text}: expected a number that a double can hold.`);
}
