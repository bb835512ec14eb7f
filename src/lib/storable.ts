// What the database can keep. PostgreSQL has no U+0000 in text, half a surrogate pair is no UTF-8, and JSON has no
// infinity; the depth limit keeps a hostile document from exhausting the stack of whoever walks it.

import type { Json } from './canonical-json.ts';

const MAX_DEPTH = 64;

/** Why the database cannot keep this text; null when it can. */
export function textFlaw(text: string): string | null {
  if (text.includes('\0')) return 'must not hold the character U+0000';
  if (/\p{Surrogate}/u.test(text)) return 'must not hold half of a surrogate pair';
  return null;
}

/** Why the database cannot keep this value, naming the place in it by its path; null when it can. */
export function jsonFlaw(value: Json, path: string, depth = 0): string | null {
  if (typeof value === 'string') return describe(path, textFlaw(value));
  if (typeof value === 'number')
    return Number.isFinite(value) ? null : `${path} must be a finite number`;
  if (value === null || typeof value !== 'object') return null;
  if (depth === MAX_DEPTH) return `${path} must not be nested more than ${MAX_DEPTH} deep`;
  return memberFlaw(value, path, depth);
}

function memberFlaw(value: object, path: string, depth: number): string | null {
  for (const [key, member] of Object.entries(value)) {
    const place = Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`;
    const flaw =
      describe(`a field name in ${path}`, textFlaw(key)) ?? jsonFlaw(member, place, depth + 1);
    if (flaw !== null) return flaw;
  }
  return null;
}

function describe(path: string, flaw: string | null): string | null {
  return flaw === null ? null : `${path} ${flaw}`;
}
