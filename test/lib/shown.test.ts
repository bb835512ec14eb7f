import { describe, expect, it } from 'vitest';
import { shown } from '../../src/lib/shown.ts';

describe('shown', () => {
  it.each([
    ['a"b', '"a\\"b"'],
    [5, '5'],
    [null, 'null'],
    [undefined, 'undefined'],
    [{ a: [1] }, '{"a":[1]}'],
  ])('shows %j as JSON', (value, text) => {
    expect(shown(value)).toBe(text);
  });

  it('cuts long values short', () => {
    expect(shown('x'.repeat(1000))).toBe(`"${'x'.repeat(99)}...`);
  });
});
