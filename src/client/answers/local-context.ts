// The records that a prompt shows, found among those that this device keeps, as the server finds them among its own. Apps
// whose modes show none do not load it.

import { contextFrom, findAmong } from '../../changes/core/find-records.ts';
import type { Json } from '../../lib/canonical-json.ts';
import { contextRules } from '../../modes/context-rules.ts';
import type { ModeDefinition } from '../../modes/definition.ts';
import { lookupsOf } from '../../modes/prompt.ts';
import type { LocalRecords } from '../training/local-records.ts';

/** What the prompt may name besides the input: the found records' data, null where none was found. Throws TemplateError. */
export async function localContext(
  { context }: ModeDefinition,
  input: Json,
  records: LocalRecords,
): Promise<Readonly<Record<string, Json>>> {
  const rules = contextRules(context);
  const lookups = lookupsOf({ context: rules }, input);
  const kept = await records.read([...new Set(rules.map(({ source }) => source))]);
  const missing = Object.fromEntries(rules.map(({ name }) => [name, null]));
  return { ...missing, ...contextFrom(lookups, findAmong(kept, lookups)).values };
}
