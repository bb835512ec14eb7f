import { truncateSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../../src/lib/errors.ts';
import { openGguf } from '../../../src/model/gguf/gguf-file.ts';
import {
  encodeGguf,
  encodeGgufParts,
  type GgufTensorInput,
  type GgufValue,
} from '../../support/model/gguf-writer.ts';
import { useTemporaryFolder } from '../../support/temporary-folder.ts';

const inFolder = useTemporaryFolder();

const METADATA: [string, GgufValue][] = [
  ['general.architecture', { type: 'string', value: 'llama' }],
  ['a.number', { type: 'u32', value: 7 }],
  ['a.list', { type: 'strings', value: ['ä', '', 'long enough to matter'] }],
];

function floats(name: string, shape: readonly number[]): GgufTensorInput {
  const length = shape.reduce((product, size) => product * size, 1);
  const numbers = Float32Array.from({ length }, (_, i) => i / 2);
  return { name, type: 0, shape, bytes: new Uint8Array(numbers.buffer) };
}

/** One block of Q8_0: scale 0.5 (f16 0x3800), numbers 0 to 31. */
const BYTES: GgufTensorInput = {
  name: 'bytes',
  type: 8,
  shape: [1, 32],
  bytes: Uint8Array.from([0x00, 0x38, ...Array(32).keys()]),
};

function write(bytes: Uint8Array): string {
  const path = inFolder('the.gguf');
  writeFileSync(path, bytes);
  return path;
}

test('metadata and tensors are read as they were written', async () => {
  const file = await openGguf(write(encodeGguf(METADATA, [floats('w', [2, 3]), BYTES])));
  expect(file.metadata).toMatchObject({
    'a.number': 7,
    'a.list': ['ä', '', 'long enough to matter'],
  });
  expect(file.tensors.get('w')?.shape).toEqual([2, 3]);
  expect([...file.read('w')]).toEqual([0, 0.5, 1, 1.5, 2, 2.5]);
  expect(file.tensors.get('bytes')?.type.name).toBe('Q8_0');
  expect([...file.read('bytes')]).toEqual(Array.from({ length: 32 }, (_, i) => i / 2));
});

test('a missing file and an unknown tensor are named', async () => {
  await expect(openGguf(inFolder('none.gguf'))).rejects.toThrow(/ENOENT.*none\.gguf/);
  const file = await openGguf(write(encodeGguf(METADATA, [])));
  expect(() => file.read('w')).toThrow(/the\.gguf has no tensor w/);
});

describe('a damaged or hostile file is refused with its name and its fault', () => {
  const good = encodeGguf(METADATA, [floats('w', [4, 8])]);
  const changed = (at: number, ...values: number[]) => {
    const bytes = Buffer.from(good);
    Buffer.from(values).copy(bytes, at);
    return bytes;
  };
  const tensor = (change: Partial<GgufTensorInput>) =>
    encodeGguf(METADATA, [{ ...floats('w', [4, 8]), ...change }]);
  const keyed = (key: string, value: GgufValue) => encodeGguf([...METADATA, [key, value]], []);

  const cases: [fault: string, file: Uint8Array, message: RegExp][] = [
    ['an empty file', Buffer.alloc(0), /is 0 bytes long/],
    ['another magic', changed(0, 0x00), /magic number/],
    ['an unknown version', changed(4, 99), /unsupported version/],
    ['a big-endian version', changed(4, 0, 0, 0, 3), /GGUF|big-endian/],
    ['a billion tensors', changed(8, 255, 255, 255, 255), /exceeds maximum/],
    ['a billion keys', changed(16, 255, 255, 255, 255), /exceeds maximum/],
    ['a key twice', keyed('a.number', { type: 'u32', value: 8 }), /ambiguous metadata/],
    ['a key that is an inherited name', keyed('__proto__', { type: 'u32', value: 8 }), /ambiguous/],
    [
      'a key that shadows the header',
      keyed('tensor_count', { type: 'u32', value: 8 }),
      /ambiguous/,
    ],
    ['text that is not UTF-8', changed(good.indexOf('llama'), 0xff), /ambiguous metadata/],
    [
      'an odd alignment',
      keyed('general.alignment', { type: 'u32', value: 24 }),
      /general\.alignment is 24/,
    ],
    [
      'an endless alignment',
      keyed('general.alignment', { type: 'u32', value: 2 ** 31 }),
      /general\.alignment/,
    ],
    [
      'a tensor twice',
      encodeGguf(METADATA, [floats('w', [2]), floats('w', [2])]),
      /"w" is there twice/,
    ],
    ['an unknown type', tensor({ type: 77 }), /"w" is stored as 77, expected one of F32/],
    ['a type we do not read', tensor({ type: 12 }), /"w" is stored as Q4_K/],
    [
      'a row of part of a block',
      tensor({ type: 8, shape: [8, 4] }),
      /"w" has shape \[8,4\], which Q8_0 cannot/,
    ],
    ['a size of zero', tensor({ shape: [4, 0] }), /"w" has shape \[4,0\]/],
    ['too many dimensions', tensor({ shape: [1, 1, 1, 1, 1] }), /"w" has shape/],
    ['sizes that overflow', tensor({ shape: [2 ** 30, 2 ** 30, 2] }), /"w" has shape/],
    [
      'a misaligned offset',
      tensor({ offset: 8 }),
      /"w" starts at 8, which is not a multiple of 32/,
    ],
    [
      'an offset beyond the end',
      tensor({ offset: 1 << 20 }),
      /"w" ends at byte \d+, but the file is cut off/,
    ],
    [
      'overlapping tensors',
      encodeGguf(METADATA, [floats('v', [32]), { ...floats('w', [32]), offset: 32 }]),
      /"w" overlaps/,
    ],
  ];

  test.each(cases)('%s', async (_, file, message) => {
    const attempt = openGguf(write(file));
    await expect(attempt).rejects.toThrow(AppError);
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toThrow(/^\/.*the\.gguf/);
  });

  test('a file cut anywhere in its header or its data is refused', async () => {
    const { header, data } = encodeGgufParts(METADATA, [floats('w', [4, 8])]);
    const lengths = [
      ...Array(header.length).keys(),
      header.length,
      header.length + data.length - 1,
    ];
    for (const length of lengths)
      await expect(openGguf(write(good.subarray(0, length))), `${length} bytes`).rejects.toThrow(
        AppError,
      );
  });

  test('a file that shrinks between opening and reading is noticed', async () => {
    const path = write(good);
    const file = await openGguf(path);
    truncateSync(path, good.length - 1);
    expect(() => file.read('w')).toThrow(/has become shorter/);
  });

  test('random damage never fails in another way than BAD_INPUT', async () => {
    const headerBytes = encodeGgufParts(METADATA, [floats('w', [4, 8])]).header.length;
    const flips = fc.array(fc.tuple(fc.nat(headerBytes - 1), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(flips, async (changes) => {
        const damaged = Buffer.from(good);
        for (const [at, mask] of changes) damaged[at] = (damaged[at] as number) ^ mask;
        const opened = await openGguf(write(damaged)).catch((error: unknown) => error);
        if (opened instanceof Error) expect(opened).toBeInstanceOf(AppError);
      }),
      { numRuns: 300 },
    );
  });
});

test('a list that crosses the border of what the parser reads at once is never cut silently', async () => {
  // the parser reads 2,000,000 bytes at a time; the last string starts before that border and ends after it
  const border = 2_000_000;
  const before: [string, GgufValue][] = [['padding', { type: 'string', value: '' }]];
  const list = (length: number): [string, GgufValue] => [
    'list',
    { type: 'strings', value: Array.from({ length }, () => 'x'.repeat(1000)) },
  ];
  const count = Math.ceil((border - 80) / 1008);
  const start = encodeGguf([...before, list(count - 1)], []).length;
  expect(start).toBeLessThan(border);
  const path = write(encodeGguf([...before, list(count)], []));
  const file = await openGguf(path).catch((error: unknown) => error);
  if (file instanceof Error) expect(file.message).toMatch(/damaged or ambiguous metadata/);
  else expect(file).toMatchObject({ metadata: { list: list(count)[1].value } });
});
