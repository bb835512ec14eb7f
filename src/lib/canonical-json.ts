/** A plain JSON value. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/** One text per value: object keys in code-unit order, no white space (RFC 8785 for the values that JSON.parse yields). */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const members = value as { readonly [key: string]: Json };
  let text = '';
  for (const key of Object.keys(members).sort())
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(members[key] as Json)}`;
  return `{${text}}`;
}
