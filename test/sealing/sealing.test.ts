import { randomBytes } from 'node:crypto';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { listedMasterKeys, makeMasterKey, parseMasterKeys } from '../../src/sealing/master-keys.ts';
import { openBytes, sealBytes } from '../../src/sealing/seal.ts';
import {
  generationOf,
  openFile,
  openSealedReader,
  sealFile,
} from '../../src/sealing/sealed-file.ts';
import { userKeys } from '../../src/sealing/user-keys.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';

const key = randomBytes(32);
const fileKey = { generation: 3, key };
/** Around the border of a chunk, and several chunks. */
const SIZES = [0, 1, 65_535, 65_536, 65_537, 200_000];

describe('a sealed value', () => {
  it('opens with its key in its place, and in no other', () => {
    const sealed = sealBytes(key, 'here', Buffer.from('a secret'));
    expect(sealed.includes('secret')).toBe(false);
    expect(openBytes(key, 'here', sealed).toString()).toBe('a secret');
    expect(() => openBytes(key, 'there', sealed)).toThrow('belongs elsewhere');
    expect(() => openBytes(randomBytes(32), 'here', sealed)).toThrow('belongs elsewhere');
    expect(() => openBytes(key, 'here', sealed.subarray(0, 20))).toThrow('too short');
  });

  it('opens with no bit changed', () => {
    const sealed = sealBytes(key, 'here', Buffer.from('a secret'));
    for (let i = 0; i < sealed.length * 8; i += 1) {
      const changed = Buffer.from(sealed);
      changed[i >> 3] = (changed[i >> 3] ?? 0) ^ (1 << (i & 7));
      expect(() => openBytes(key, 'here', changed)).toThrow('damaged');
    }
  });

  it('is another one each time', () => {
    const seal = () => sealBytes(key, 'here', Buffer.from('a secret')).toString('hex');
    expect(seal()).not.toBe(seal());
  });
});

describe('a sealed file', () => {
  const folder = useTemporaryFolder();

  it.each(SIZES)('opens whole (%i bytes)', (size) => {
    const plain = randomBytes(size);
    const sealed = sealFile(fileKey, 'place', plain);
    expect(generationOf(sealed)).toBe(3);
    expect(openFile(key, 'place', sealed).equals(plain)).toBe(true);
    expect(() => openFile(key, 'elsewhere', sealed)).toThrow('belongs elsewhere');
    expect(() => openFile(randomBytes(32), 'place', sealed)).toThrow('belongs elsewhere');
  });

  it('gives any range of its text', async () => {
    const plain = randomBytes(200_000);
    const path = join(folder(), 'sealed');
    await writeFile(path, sealFile(fileKey, 'place', plain));
    const file = await open(path);
    try {
      const reader = await openSealedReader(file, 'place', () => key);
      expect(reader.plainBytes).toBe(plain.length);
      const position = fc.nat({ max: plain.length });
      await fc.assert(
        fc.asyncProperty(position, position, async (a, b) => {
          const [start, end] = [Math.min(a, b), Math.max(a, b)];
          const parts: Buffer[] = [];
          for await (const part of reader.read({ start, end })) parts.push(part);
          expect(Buffer.concat(parts).equals(plain.subarray(start, end))).toBe(true);
        }),
        { numRuns: 50 },
      );
    } finally {
      await file.close();
    }
  });

  it('does not open cut off, lengthened, or with chunks moved', () => {
    const sealed = sealFile(fileKey, 'place', randomBytes(200_000));
    const header = sealed.subarray(0, 47);
    const chunk = (i: number) => sealed.subarray(47 + i * 65_552, 47 + (i + 1) * 65_552);
    const forgeries = {
      'cut off at a chunk': sealed.subarray(0, 47 + 2 * 65_552),
      'cut off within a chunk': sealed.subarray(0, sealed.length - 1),
      lengthened: Buffer.concat([sealed, Buffer.alloc(1)]),
      'the first chunk twice': Buffer.concat([header, chunk(0), chunk(0), chunk(2), chunk(3)]),
      swapped: Buffer.concat([header, chunk(1), chunk(0), chunk(2), chunk(3)]),
      empty: Buffer.alloc(0),
      'header alone': header,
      'no sealed file': Buffer.from('{"r": 8}'.repeat(20)),
    };
    for (const [what, forged] of Object.entries(forgeries)) {
      expect(() => openFile(key, 'place', forged), what).toThrow(/sealed file/);
    }
  });

  it('notices every changed byte of its header', () => {
    const sealed = sealFile(fileKey, 'place', Buffer.from('text'));
    // the generation tells which key to take, and is part of what that key opens
    for (let i = 0; i < 47; i += 1) {
      const changed = Buffer.from(sealed);
      changed[i] = (changed[i] ?? 0) ^ 1;
      expect(() => openFile(key, 'place', changed), `byte ${i}`).toThrow(/sealed file/);
    }
  });
});

describe('keys of a user', () => {
  const hashKey = randomBytes(32);
  const dataKeys = [2, 1].map((generation) => ({ generation, key: randomBytes(32) }));
  const keys = userKeys('ann', { hashKey, dataKeys });

  it('open what an earlier generation sealed', () => {
    const old = userKeys('ann', { hashKey, dataKeys: dataKeys.slice(1) });
    expect(keys.open('p', old.seal('p', { a: [1, 'ü'] }))).toEqual({ a: [1, 'ü'] });
    expect(() => old.open('p', keys.seal('p', 1))).toThrow('data key 2 is not there');
    expect(keys.fileKeys[1]).toEqual(old.fileKeys[0]);
  });

  it('open nothing of another user, even with the same keys', () => {
    const bob = userKeys('bob', { hashKey, dataKeys });
    expect(() => bob.open('p', keys.seal('p', 1))).toThrow('belongs elsewhere');
  });

  it('make the same tag of the same hash, whatever seals', () => {
    const later = userKeys('ann', { hashKey, dataKeys: dataKeys.slice(0, 1) });
    expect(later.tag('hash')).toBe(keys.tag('hash'));
    const bob = userKeys('bob', { hashKey: randomBytes(32), dataKeys });
    expect(bob.tag('hash')).not.toBe(keys.tag('hash'));
  });
});

describe('master keys', () => {
  const [first, second] = [1, 2].map((day) => makeMasterKey(new Date(Date.UTC(2026, 0, day))));
  const listed = (...list: (typeof first)[]) =>
    listedMasterKeys(() => Promise.resolve(list.flatMap((one) => one ?? [])), 'the test');

  it('unwrap what any of them wrapped, for what it was wrapped for', async () => {
    const wrapped = await listed(first).wrap(key, 'ann 1');
    const both = listed(second, first);
    expect(Buffer.from(await both.unwrap(wrapped, 'ann 1'))).toEqual(key);
    await expect(both.unwrap(wrapped, 'bob 1')).rejects.toThrow('belongs elsewhere');
    await expect(listed(second).unwrap(wrapped, 'ann 1')).rejects.toThrow(
      `no master key ${first?.id} in the test`,
    );
    expect((await both.wrap(key, 'ann 1')).masterKeyId).toBe(second?.id);
  });

  it('are read from a text', () => {
    const text = `new:${second?.key}, old:${first?.key}`;
    expect(parseMasterKeys(text)).toEqual([
      { id: 'new', key: second?.key },
      { id: 'old', key: first?.key },
    ]);
    const twice = `a:${first?.key},a:${first?.key}`;
    for (const bad of ['', 'a', 'a:b', ':', twice, `${text},`, `a b:${first?.key}`])
      expect(parseMasterKeys(bad), bad).toBeUndefined();
  });
});
