import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppError } from '../../../src/lib/errors.ts';
import { readSafetensors } from '../../../src/model/safetensors/safetensors.ts';
import { parseSafetensors } from '../../../src/model/safetensors/safetensors-tensors.ts';
import {
  encodeSafetensors,
  planHeader,
  type TensorData,
} from '../../../src/model/safetensors/safetensors-writer.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'attune-safetensors-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SAMPLE = new Map<string, TensorData>([
  ['b', { dtype: 'F32', shape: [2, 2], data: Float32Array.of(1, -2, 3.5, 0) }],
  ['a', { dtype: 'F16', shape: [3], data: bytes(0x00, 0x3c, 0x00, 0xc0, 0xff, 0x7b) }],
  ['c', { dtype: 'BF16', shape: [1, 1], data: bytes(0x80, 0x3f) }],
  ['none', { dtype: 'F32', shape: [0, 4], data: new Float32Array(0) }],
]);

function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

/** A file with this header and so many bytes of numbers. */
function fileOf(header: unknown, dataBytes: number): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(dataBytes)]);
}

describe('what is written can be read', () => {
  test('F32, F16 and BF16 come back as float32, from memory and from a file', () => {
    const encoded = encodeSafetensors(SAMPLE, { format: 'pt' });
    const path = join(folder, 'sample.safetensors');
    writeFileSync(path, encoded);
    for (const file of [parseSafetensors(encoded, 'memory'), readSafetensors(path)]) {
      expect(file.metadata).toEqual({ format: 'pt' });
      expect([...file.read('b')]).toEqual([1, -2, 3.5, 0]);
      expect([...file.read('a')]).toEqual([1, -2, 65504]);
      expect([...file.read('c')]).toEqual([1]);
      expect([...file.read('none')]).toEqual([]);
      expect(file.tensors.get('b')?.shape).toEqual([2, 2]);
    }
  });

  test('any tensors and metadata survive a round trip, aligned to their type', () => {
    const tensor = fc.record({
      dtype: fc.constant('F32' as const),
      data: fc.float32Array({ maxLength: 12 }),
    });
    const names = fc
      .string({ unit: 'binary', maxLength: 12 })
      .filter((name) => name !== '__metadata__');
    const strings = fc.dictionary(fc.string(), fc.string());
    fc.assert(
      fc.property(fc.array(fc.tuple(names, tensor)), strings, (entries, metadata) => {
        const tensors = new Map(
          entries.map(([name, { dtype, data }]) => [name, { dtype, data, shape: [data.length] }]),
        );
        const file = parseSafetensors(encodeSafetensors(tensors, metadata), 'memory');
        expect(Object.entries(file.metadata).sort()).toEqual(Object.entries(metadata).sort());
        expect([...file.tensors.keys()].sort()).toEqual([...tensors.keys()].sort());
        for (const [name, { data }] of tensors) expect(file.read(name)).toEqual(data);
      }),
    );
  });

  test('equal tensors give equal bytes, in whatever order they come', () => {
    const backwards = new Map([...SAMPLE].reverse());
    expect(encodeSafetensors(backwards, { b: '1', a: '2' })).toEqual(
      encodeSafetensors(SAMPLE, { a: '2', b: '1' }),
    );
  });

  test('the numbers start where the caller wants them aligned', () => {
    for (const align of [8, 4096]) {
      expect(planHeader(SAMPLE, {}, align).header.length % align).toBe(0);
    }
  });

  test('data that does not fill its shape is refused', () => {
    const wrong = new Map([
      ['w', { dtype: 'F32' as const, shape: [3], data: new Float32Array(2) }],
    ]);
    expect(() => encodeSafetensors(wrong, {})).toThrow('tensor w: 8 bytes are not F32 [3]');
  });
});

describe('a damaged or hostile file is refused with its name and its fault', () => {
  const f32 = (start: number, end: number, shape = [(end - start) / 4]) => ({
    dtype: 'F32',
    shape,
    data_offsets: [start, end],
  });
  const cases: [fault: string, file: Uint8Array, message: RegExp][] = [
    ['an empty file', bytes(), /is 0 bytes long, too short/],
    ['fewer than 8 bytes', bytes(1, 2, 3), /is 3 bytes long, too short/],
    [
      'a huge header length',
      Buffer.alloc(16, 0xff),
      /claims a header of 18446744073709551615 bytes/,
    ],
    ['a header beyond the end', fileOf({}, 0).slice(0, 9), /is cut off/],
    ['a header that is not JSON', fileOf('{"a":', 0), /header is not JSON/],
    ['a header that is not UTF-8', fileOf({}, 0).map((b, i) => (i === 8 ? 0xff : b)), /not JSON/],
    ['a header that is a list', fileOf([], 0), /not a JSON object/],
    ['metadata that is not strings', fileOf({ __metadata__: { a: 1 } }, 0), /__metadata__/],
    ['a name twice', fileOf('{"w":1, "x":{"w":2}, "\\u0077":3}', 0), /has "w" twice/],
    ['a field twice', fileOf('{"w":{"dtype":"F32","dtype":"F16"}}', 0), /has "dtype" twice/],
    ['an entry that is no object', fileOf({ w: 1 }, 0), /"w" is not described by an object/],
    ['an unknown dtype', fileOf({ w: { ...f32(0, 4), dtype: 'F31' } }, 4), /has dtype "F31"/],
    ['an inherited name as dtype', fileOf({ w: { ...f32(0, 4), dtype: 'toString' } }, 4), /dtype/],
    ['a negative size', fileOf({ w: f32(0, 4, [-1]) }, 4), /has shape \[-1\]/],
    ['a fraction as size', fileOf({ w: f32(0, 4, [0.5]) }, 4), /has shape \[0.5\]/],
    ['too many dimensions', fileOf({ w: f32(0, 4, Array(9).fill(1)) }, 4), /has shape/],
    ['sizes that overflow', fileOf({ w: f32(0, 4, Array(8).fill(2 ** 52)) }, 4), /holds 4 bytes/],
    [
      'offsets of the wrong length',
      fileOf({ w: f32(0, 8, [1]) }, 8),
      /holds 8 bytes, F32 \[1\] needs 4/,
    ],
    [
      'offsets backwards',
      fileOf({ w: { ...f32(0, 4), data_offsets: [4, 0] } }, 4),
      /holds -4 bytes/,
    ],
    ['one offset', fileOf({ w: { ...f32(0, 4), data_offsets: [0] } }, 4), /has data_offsets \[0\]/],
    [
      'a misaligned start',
      fileOf({ b: { dtype: 'U8', shape: [1], data_offsets: [0, 1] }, w: f32(1, 5) }, 5),
      /misaligned/,
    ],
    [
      'two tensors over the same bytes',
      fileOf({ v: f32(0, 8), w: f32(4, 12) }, 12),
      /"w" overlaps/,
    ],
    ['a gap', fileOf({ v: f32(0, 4), w: f32(8, 12) }, 12), /"w" leaves a gap/],
    ['a tensor beyond the end', fileOf({ w: f32(0, 8) }, 4), /is cut off/],
    ['bytes after the last tensor', fileOf({ w: f32(0, 4) }, 7), /has 3 bytes after/],
  ];

  test.each(cases)('%s', (_, file, message) => {
    const attempt = () => parseSafetensors(file, 'the.file');
    expect(attempt).toThrow(AppError);
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(/^the\.file/);
  });

  test('a file cut at any byte is refused', () => {
    const path = join(folder, 'cut.safetensors');
    const encoded = encodeSafetensors(SAMPLE, {});
    for (let length = 0; length < encoded.length; length += 1) {
      writeFileSync(path, encoded.subarray(0, length));
      expect(() => readSafetensors(path)).toThrow(AppError);
    }
  });

  test('a file that shrinks between opening and reading is noticed', () => {
    const path = join(folder, 'shrinks.safetensors');
    writeFileSync(path, encodeSafetensors(SAMPLE, {}));
    const file = readSafetensors(path);
    truncateSync(path, 100);
    expect(() => file.read('b')).toThrow(/has become shorter/);
  });

  test('random damage to the header never crashes in another way than BAD_INPUT', () => {
    const encoded = encodeSafetensors(SAMPLE, { format: 'pt' });
    const headerBytes = encoded.length - 24;
    const flips = fc.array(fc.tuple(fc.nat(headerBytes - 1), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(flips, (changes) => {
        const damaged = encoded.slice();
        for (const [at, mask] of changes) damaged[at] = (damaged[at] as number) ^ mask;
        try {
          const file = parseSafetensors(damaged, 'the.file');
          for (const name of file.tensors.keys()) file.read(name);
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('an unknown name and a type that is not a float are refused on reading', () => {
    const file = parseSafetensors(
      encodeSafetensors(
        new Map([['n', { dtype: 'I64', shape: [1], data: new Uint8Array(8) }]]),
        {},
      ),
      'the.file',
    );
    expect(() => file.read('m')).toThrow('the.file has no tensor m');
    expect(() => file.read('n')).toThrow('I64 is not readable');
  });
});
