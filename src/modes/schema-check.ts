// JSON schemas as functions from a value to the reason why it does not fit, in words that name the field.

import { Ajv, type ErrorObject } from 'ajv';
import formatsPlugin from 'ajv-formats';
import type { Json } from '../lib/canonical-json.ts';
import { must } from '../lib/errors.ts';
import { jsonFlaw } from '../lib/storable.ts';
import { type Check, type JsonSchema, SchemaError } from './json-schema.ts';

/** Where a value does not fit, as keys and indices from its root, and why. */
export interface Fault {
  readonly path: readonly string[];
  readonly reason: string;
}

/** Compiles a schema (draft-07, Ajv's strict mode); reasons call the value `root`. Throws SchemaError. */
export function compileSchema(schema: JsonSchema, root: string): Check {
  const findFault = compileFaultFinder(schema, root);
  return (value) => findFault(value)?.reason ?? jsonFlaw(value, root);
}

/** As `compileSchema`, for a caller that wants to know the place too. */
export function compileFaultFinder(
  schema: JsonSchema,
  root: string,
): (value: Json) => Fault | null {
  if (metaAjv.validateSchema(schema) === false) throw brokenSchema(metaAjv.errors?.[0]);
  const validate = compileStrictly(schema);
  return (value) => {
    if (validate(value)) return null;
    const error = must(validate.errors?.[0], 'a failed validation has an error');
    return { path: pathOf(error), reason: reasonOf(error, root) };
  };
}

/** Checks schemas themselves; shared, since compiling draft-07's own schema takes long. */
const metaAjv = new Ajv();

/** An Ajv each, so that the `$id` of one schema cannot clash with another's. */
function compileStrictly(schema: JsonSchema) {
  const ajv = new Ajv({ meta: false, validateSchema: false, allowUnionTypes: true });
  formatsPlugin.default(ajv);
  try {
    return ajv.compile(schema);
  } catch (cause) {
    throw new SchemaError(`is no JSON schema: ${(cause as Error).message}`, { cause });
  }
}

function brokenSchema(error: ErrorObject | undefined): SchemaError {
  const path = error === undefined ? [] : pathOf(error);
  return new SchemaError(`is no JSON schema: it ${error?.message ?? 'does not fit'}`, { path });
}

/** The keys and indices that lead to the value an error is about; for an unknown or missing field, to that field. */
function pathOf(error: ErrorObject): readonly string[] {
  const steps = error.instancePath.split('/').slice(1);
  const path = steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  const { missingProperty, additionalProperty } = error.params as Record<string, string>;
  const field = missingProperty ?? additionalProperty;
  return field === undefined ? path : [...path, field];
}

/** An error of Ajv in words, such as `data.to must be array` or `data.subject is missing`. */
function reasonOf(error: ErrorObject, root: string): string {
  const steps = pathOf(error).map((step) => (/^\d+$/.test(step) ? `[${step}]` : `.${step}`));
  const field = `${root}${steps.join('')}`;
  const { allowedValues, allowedValue } = error.params;
  switch (error.keyword) {
    case 'required':
      return `${field} is missing`;
    case 'additionalProperties':
      return `${field} is unknown`;
    case 'enum':
      return `${field} must be one of ${allowedValues.join(', ')}`;
    case 'const':
      return `${field} must be ${allowedValue}`;
    default:
      return `${field} ${(error.message ?? 'does not fit').replace('must NOT', 'must not')}`;
  }
}
