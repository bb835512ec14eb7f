// What an input of a mode has to be, besides what its JSON schema says; the same on servers and devices.

import type { Json } from '../lib/canonical-json.ts';
import type { Check, JsonSchema } from './json-schema.ts';

/** White space is no text: a field with a `minLength` needs something else too. */
export function refuseBlank({ properties }: JsonSchema, check: Check): Check {
  const texts = Object.entries(properties as Readonly<Record<string, JsonSchema>>)
    .filter(([, { minLength }]) => Number(minLength ?? 0) > 0)
    .map(([name]) => name);
  return (input) => {
    const reason = check(input);
    if (reason !== null) return reason;
    const fields = input as Readonly<Record<string, Json>>;
    const blank = texts.find((name) => String(fields[name] ?? 'absent').trim() === '');
    return blank === undefined ? null : `input.${blank} must not be empty`;
  };
}
