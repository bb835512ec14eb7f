import fc from 'fast-check';
import { type GraphQLScalarType, parseValue } from 'graphql';
import { describe, expect, it } from 'vitest';
import { buildSchema } from '../../schema/schema.ts';

const schema = buildSchema();
const scalar = (name: string) => schema.getType(name) as GraphQLScalarType;

describe('DateTime', () => {
  it.each([
    ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00.000Z'],
    ['2026-01-31T12:00:00.123456Z', '2026-01-31T12:00:00.123Z'],
    ['2026-01-31T12:00:00+02:00', '2026-01-31T10:00:00.000Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
  ])('reads %s', (text, moment) => {
    expect(scalar('DateTime').parseValue(text)).toEqual(new Date(moment));
    expect(scalar('DateTime').serialize(new Date(moment))).toBe(moment);
  });

  it.each([
    '2026-01-31',
    '2026-01-31T12:00:00',
    '2026-01-31 12:00:00Z',
    '2026-02-30T12:00:00Z',
    '2025-02-29T12:00:00Z',
    '2026-13-01T12:00:00Z',
    '2026-01-31T25:00:00Z',
    '2026-01-31T12:00:00+99:00',
    '0000-01-31T12:00:00Z',
    'yesterday',
    '',
    1_767_225_600_000,
    null,
  ])('refuses %j, naming it and what it takes', (value) => {
    expect(() => scalar('DateTime').parseValue(value)).toThrow(
      `DateTime is ${JSON.stringify(value)}: expected ISO 8601`,
    );
  });

  it('refuses literals that are no text', () => {
    expect(() => scalar('DateTime').parseLiteral(parseValue('20260131'))).toThrow(
      'DateTime is 20260131',
    );
  });
});

describe('JSON', () => {
  it('keeps every value as it is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(scalar('JSON').serialize(scalar('JSON').parseValue(value))).toEqual(value);
      }),
    );
  });

  it('reads literals as the values that they spell', () => {
    const literal = parseValue('{a: [1, -2.5, "x", true, null, RED], b: {c: {}}, __proto__: 1}');
    const value = scalar('JSON').parseLiteral(literal) as object;
    expect(JSON.stringify(value)).toBe(
      '{"a":[1,-2.5,"x",true,null,"RED"],"b":{"c":{}},"__proto__":1}',
    );
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  it('fills variables into literals', () => {
    const literal = parseValue('{a: $x, b: [$y, $x]}');
    expect(scalar('JSON').parseLiteral(literal, { x: [1] })).toEqual({ a: [1], b: [null, [1]] });
  });

  it('takes 64 levels and no more', () => {
    const nest = (levels: number) => JSON.parse('['.repeat(levels) + ']'.repeat(levels));
    expect(() => scalar('JSON').parseValue(nest(64))).not.toThrow();
    expect(() => scalar('JSON').parseValue(nest(65))).toThrow('deeper than 64 levels');
    expect(() => scalar('JSON').parseLiteral(parseValue('['.repeat(65) + ']'.repeat(65)))).toThrow(
      'deeper than 64 levels',
    );
  });

  it('refuses numbers beyond those of a double', () => {
    expect(() => scalar('JSON').parseLiteral(parseValue('1e999'))).toThrow('JSON holds 1e999');
  });
});

describe('Cursor', () => {
  it('takes text and nothing else', () => {
    expect(scalar('Cursor').parseValue('abc')).toBe('abc');
    expect(() => scalar('Cursor').parseValue(5)).toThrow('Cursor is 5');
    expect(() => scalar('Cursor').parseLiteral(parseValue('5'))).toThrow('Cursor is 5');
  });
});
