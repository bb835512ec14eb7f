// What a mode's answers consist of, where its file says so: JSON of a schema.

import type { Json } from '../lib/canonical-json.ts';
import type { Check, JsonSchema } from './json-schema.ts';
import type { OutputShape } from './output-shape.ts';
import { isOutput } from './output-states.ts';
import { readOutputShape } from './read-output-shape.ts';

/** The output of a mode. */
export interface ModeOutput {
  readonly schema: JsonSchema;
  /** What the engine keeps to. */
  readonly shape: OutputShape;
  /** The text of an answer in the one form in which answers are written: without white space, fields in the schema's order.
   *  Null when it is no JSON, or none that fits the schema and can be written so. */
  rewrite(text: string): string | null;
}

/** A text as an answer of the mode: as it is where any text will do. Null when the mode could never give it. */
export function asAnswer({ output }: { output: ModeOutput | null }, text: string): string | null {
  return output === null ? text : output.rewrite(text);
}

/** The output that a schema describes, `check` being the whole schema. Throws SchemaError for what cannot be held to. */
export function modeOutput(schema: JsonSchema, check: Check): ModeOutput {
  const shape = readOutputShape(schema);
  const rewrite = (text: string) => {
    const value = parseJson(text);
    if (value === undefined || check(value) !== null) return null;
    const written = write(shape, value);
    return isOutput(shape, written) ? written : null;
  };
  return { schema, shape, rewrite };
}

function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** A value that fits the schema, as text. */
function write(shape: OutputShape, value: Json): string {
  if (shape.kind === 'either') {
    const fitting = shape.shapes.find((one) => isOutput(one, write(one, value)));
    return fitting === undefined ? JSON.stringify(value) : write(fitting, value);
  }
  if (shape.kind === 'array' && Array.isArray(value))
    return `[${value.map((item) => write(shape.items, item)).join(',')}]`;
  if (shape.kind !== 'object' || typeof value !== 'object' || value === null)
    return JSON.stringify(value);
  const entries = value as { readonly [key: string]: Json };
  const fields = shape.fields.flatMap((field) => {
    const item = Object.hasOwn(entries, field.name) ? entries[field.name] : undefined;
    return item === undefined ? [] : [`${JSON.stringify(field.name)}:${write(field.shape, item)}`];
  });
  return `{${fields.join(',')}}`;
}
