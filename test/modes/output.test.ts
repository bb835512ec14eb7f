import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json } from '../../src/lib/canonical-json.ts';
import { type JsonSchema, SchemaError } from '../../src/modes/json-schema.ts';
import { modeOutput } from '../../src/modes/output.ts';
import {
  isOutput,
  OUTPUT_END,
  type OutputState,
  outputStart,
} from '../../src/modes/output-states.ts';
import { readOutputShape } from '../../src/modes/read-output-shape.ts';
import { compileSchema } from '../../src/modes/schema-check.ts';
import { randomNumbers } from '../support/model/random-llama.ts';

const objectOf = (properties: { readonly [name: string]: Json }, required?: string[]) => ({
  type: 'object',
  properties,
  required: required ?? Object.keys(properties),
  additionalProperties: false,
});
const open = (schema: JsonSchema) => modeOutput(schema, compileSchema(schema, 'output'));

// Schemas of everything that can be held to, with a value of each.
const range = fc.tuple(fc.nat(3), fc.nat(3)).map(([least, more]) => [least, least + more] as const);
const text: fc.Arbitrary<JsonSchema> = fc.oneof(
  fc.constant({ type: 'string' }),
  range.map(([minLength, maxLength]) => ({ type: 'string', minLength, maxLength })),
);
const integer: fc.Arbitrary<JsonSchema> = fc.oneof(
  fc.constant({ type: 'integer' }),
  fc
    .tuple(fc.integer({ min: -2000, max: 2000 }), fc.nat(3000))
    .map(([minimum, more]) => ({ type: 'integer', minimum, maximum: minimum + more })),
);
const literal: fc.Arbitrary<JsonSchema> = fc
  .uniqueArray(fc.oneof(fc.string({ unit: 'grapheme' }), fc.integer(), fc.constant(null)), {
    minLength: 1,
    maxLength: 4,
  })
  .map((values) => ({ enum: values }));
const flat = fc.oneof(
  text,
  integer,
  literal,
  fc.constantFrom<JsonSchema>(
    { type: 'number' },
    { type: 'boolean' },
    { type: ['string', 'null'], maxLength: 3 },
    { type: ['integer', 'boolean', 'null'], minimum: 0 },
  ),
);
const { object: schemas } = fc.letrec<{ value: JsonSchema; object: JsonSchema }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2 },
    flat,
    tie('object'),
    fc
      .tuple(tie('value'), range)
      .map(([items, [minItems, maxItems]]) => ({ type: 'array', items, minItems, maxItems })),
  ),
  object: fc
    .array(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 5 }), tie('value'), fc.boolean()), {
      maxLength: 4,
    })
    .map((fields) =>
      objectOf(
        Object.fromEntries(fields.map(([name, schema]) => [name, schema])),
        [...new Map(fields.map(([name, , needed]) => [name, needed]))]
          .filter(([, needed]) => needed)
          .map(([name]) => name),
      ),
    ),
}));

/** What ends a text, a number, a list or an object, or comes behind one. */
const ENDS = new Set(Buffer.from('",]}'));
/** A hundred times what the largest schema takes. */
const LONGEST = 1_000_000;

/** Any text that the states allow: a random way through them, which mostly ends what it can. */
function wander(start: OutputState, random: () => number): string {
  const bytes: number[] = [];
  let state = start;
  while (state !== OUTPUT_END) {
    const here = state;
    const ways = Array.from({ length: 256 }, (_, one) => [one, here.step(one)] as const);
    const possible = ways.filter(([, behind]) => behind !== null);
    expect(possible.length).toBeGreaterThan(0);
    const ends = possible.filter(([one]) => ENDS.has(one));
    const pool = ends.length > 0 && random() < 0.7 ? ends : possible;
    const [byte, next] = pool[Math.floor(random() * pool.length)] ?? [0, null];
    bytes.push(byte);
    expect(bytes.length).toBeLessThan(LONGEST);
    state = next ?? OUTPUT_END;
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes));
}

describe('the texts of a schema', () => {
  test('all parse and fit it, whatever way they came about, and none gets stuck', () => {
    fc.assert(
      fc.property(schemas, fc.integer(), (schema, seed) => {
        const check = compileSchema(schema, 'output');
        const random = randomNumbers(seed);
        for (let i = 0; i < 5; i += 1) {
          const written = wander(outputStart(readOutputShape(schema)), random);
          expect(check(JSON.parse(written))).toBeNull();
          expect(open(schema).rewrite(written)).not.toBeNull();
        }
      }),
      { numRuns: 60 },
    );
  });

  test('are found again however they are laid out', () => {
    fc.assert(
      fc.property(schemas, fc.integer(), (schema, seed) => {
        const written = wander(outputStart(readOutputShape(schema)), randomNumbers(seed));
        // JSON.stringify has no minus zero
        const value = JSON.parse(JSON.stringify(JSON.parse(written)));
        const reversed = Object.fromEntries(Object.entries(value).reverse());
        const rewritten = open(schema).rewrite(JSON.stringify(reversed, null, 2));
        expect(JSON.parse(rewritten ?? 'null')).toEqual(value);
      }),
      { numRuns: 60 },
    );
  });
});

describe('a text', () => {
  const schema = objectOf(
    {
      kind: { enum: ['bill', 'billing', 12, 1] },
      count: { type: 'integer', minimum: -12, maximum: 305 },
      price: { type: 'number' },
      name: { type: 'string', minLength: 1, maxLength: 3 },
      tags: { type: 'array', items: { type: 'boolean' }, maxItems: 2 },
    },
    ['count'],
  );
  const shape = readOutputShape(schema);

  test.each([
    '{"count":0}',
    '{"kind":"bill","count":-12}',
    '{"kind":"billing","count":305}',
    '{"kind":1,"count":30}',
    '{"kind":12,"count":-1,"price":-0.25}',
    '{"count":7,"name":"é😀\\n"}',
    '{"count":7,"name":"a","tags":[]}',
    '{"count":7,"tags":[true,false]}',
  ])('%s is one of the shape', (one) => expect(isOutput(shape, one)).toBe(true));

  test.each([
    '{}',
    '{"count":306}',
    '{"count":-13}',
    '{"count":00}',
    '{"count":-0}',
    '{"count":1.0}',
    '{"count": 1}',
    '{"count":1,"kind":1}',
    '{"count":1,"other":1}',
    '{"count":1,"count":1}',
    '{"kind":123,"count":1}',
    '{"count":1,"price":1e5}',
    '{"count":1,"price":01}',
    '{"count":1,"price":1.}',
    '{"count":1,"name":""}',
    '{"count":1,"name":"abcd"}',
    '{"count":1,"name":"\t"}',
    '{"count":1,"name":"\\u0041"}',
    '{"count":1,"tags":[true,true,true]}',
    '{"count":1,"tags":[,]}',
    '{"count":1}}',
    '{"count":1',
    '',
  ])('%s is none', (one) => expect(isOutput(shape, one)).toBe(false));

  test.each([
    ['no JSON', 'count: 1'],
    ['JSON of another schema', '{"count":"one"}'],
    ['more than the schema knows', '{"count":1,"more":2}'],
    ['a character that answers cannot write', '{"count":1,"name":"\\u0001"}'],
    ['a number with an exponent', '{"count":1,"price":1e30}'],
  ])('that is %s is not rewritten', (_, one) => expect(open(schema).rewrite(one)).toBeNull());

  test('is rewritten in the order of the schema, without white space', () => {
    expect(open(schema).rewrite(' { "name" : "a" , "count" : 3.0, "tags": [ true ] } ')).toBe(
      '{"count":3,"name":"a","tags":[true]}',
    );
  });
});

test.each<[string, JsonSchema, RegExp, readonly string[]]>([
  ['no object', { type: 'array', items: { type: 'null' } }, /must be of type object/, ['type']],
  ['open to more fields', { type: 'object', properties: {} }, /additionalProperties: false/, []],
  [
    'a pattern',
    objectOf({ a: { type: 'string', pattern: '^x' } }),
    /"pattern" is not supported here, only type, minLength, maxLength/,
    ['properties', 'a', 'pattern'],
  ],
  [
    'a bounded number',
    objectOf({ a: { type: 'number', minimum: 1 } }),
    /"minimum"/,
    ['properties', 'a', 'minimum'],
  ],
  [
    'a choice of schemas',
    objectOf({ a: { anyOf: [{ type: 'null' }] } }),
    /needs a type/,
    ['properties', 'a'],
  ],
  ['anything', objectOf({ a: {} }), /needs a type/, ['properties', 'a']],
  [
    'a list of anything',
    objectOf({ a: { type: 'array' } }),
    /needs a schema/,
    ['properties', 'a', 'items'],
  ],
  [
    'a listed object',
    objectOf({ a: { enum: [{}] } }),
    /something else than texts/,
    ['properties', 'a'],
  ],
  [
    'two kinds of number',
    objectOf({ a: { type: ['integer', 'number'] } }),
    /both/,
    ['properties', 'a', 'type'],
  ],
  [
    'an empty range',
    objectOf({ a: { type: 'integer', minimum: 0.1, maximum: 0.9 } }),
    /leaves no integer/,
    ['properties', 'a'],
  ],
  [
    'a length that cannot be',
    objectOf({ a: { type: 'string', minLength: 3, maxLength: 2 } }),
    /minLength above its maxLength/,
    ['properties', 'a', 'minLength'],
  ],
  ['a missing field', objectOf({}, ['a']), /requires the unknown field "a"/, []],
])('a schema of %s is refused where it says so', (_, schema, reason, path) => {
  let thrown: unknown;
  try {
    readOutputShape(schema);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(SchemaError);
  expect((thrown as SchemaError).message).toMatch(reason);
  expect((thrown as SchemaError).path).toEqual(path);
});
