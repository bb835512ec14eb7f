import fc from 'fast-check';
import { expect, it } from 'vitest';
import { canonicalJson, type Json } from '../../src/lib/canonical-json.ts';

it('writes a value as JSON does, its keys in code-unit order', () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
      expect(canonicalJson(value as Json)).toBe(sortedJson(value as Json));
    }),
  );
});

it('takes keys by their code units, numbers too', () => {
  expect(canonicalJson({ 9: 1, 10: 2, a: 3, B: 4, ö: 5 })).toBe('{"10":2,"9":1,"B":4,"a":3,"ö":5}');
});

/** Every member by JSON's own writer. */
function sortedJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson)}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const members = Object.entries(value as { readonly [key: string]: Json });
  const inOrder = members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${inOrder.map(([key, member]) => `${JSON.stringify(key)}:${sortedJson(member)}`)}}`;
}
