// JSON schemas and what checks them, without the checker: a device has another one than the server.

import type { Json } from '../lib/canonical-json.ts';

/** A JSON schema that is an object, as all of ours are. */
export type JsonSchema = { readonly [key: string]: Json };

/** The reason why a value does not fit, naming the field; null when it does. */
export type Check = (value: Json) => string | null;

/** Where and why a schema is no JSON schema. */
export class SchemaError extends Error {
  override name = 'SchemaError';
  /** Keys and indices from the schema's root. */
  readonly path: readonly string[];

  constructor(message: string, options: { path?: readonly string[]; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.path = options.path ?? [];
  }
}
