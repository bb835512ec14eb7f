// What PostgreSQL's text and jsonb cannot hold: U+0000, and halves of surrogate pairs, which are no Unicode text.

import type { Json } from './canonical-json.ts';

const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/** Why the text cannot be stored, or null. */
export function unstorableText(text: string): string | null {
  if (text.includes('\u0000')) return 'must not hold the character U+0000';
  if (LONE_SURROGATE.test(text)) return 'must not hold half of a surrogate pair';
  return null;
}

/** Why the value cannot be stored, naming the field below `path`, or null. */
export function unstorableJson(value: Json, path: string): string | null {
  if (typeof value === 'string') {
    const reason = unstorableText(value);
    return reason && `${path} ${reason}`;
  }
  if (value === null || typeof value !== 'object') return null;
  for (const [key, item] of Object.entries(value)) {
    const reason = unstorableText(key);
    if (reason !== null) return `a field name in ${path} ${reason}`;
    const inner = unstorableJson(item, `${path}.${key}`);
    if (inner !== null) return inner;
  }
  return null;
}
