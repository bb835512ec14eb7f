import { expect, it } from 'vitest';
import type { DeviceStorage } from '../../../src/client/storage/storage.ts';
import { sha256 } from '../../../src/lib/sha256.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

/** What every storage promises. `newDisk` gives, for a fresh disk, the function that opens it. */
export function storageContract(newDisk: () => () => Promise<DeviceStorage>): void {
  it('gives back what was written, also after it was opened again', async () => {
    const open = newDisk();
    const first = await open();
    await first.write([
      ['a/2', { deep: [1, null] }],
      ['a/1', 'one'],
      ['b', false],
    ]);
    await first.write([
      ['b', undefined],
      ['a/1', 'uno'],
    ]);
    await first.close();
    const second = await open();
    expect(await second.list('a/')).toEqual([
      ['a/1', 'uno'],
      ['a/2', { deep: [1, null] }],
    ]);
    expect(await second.get('b')).toBeUndefined();
    await second.close();
  });

  it('has the same state after it was compacted, and goes on', async () => {
    const open = newDisk();
    const first = await open();
    await first.compact();
    await first.write([['a', 'one']]);
    await first.write([['b', 'two']]);
    await first.write([['a', undefined]]);
    await first.compact();
    await first.compact();
    await first.write([['c', 'three']]);
    await first.close();
    const second = await open();
    expect(await second.list('')).toEqual([
      ['b', 'two'],
      ['c', 'three'],
    ]);
    await second.close();
  });

  it('appends to files, names their hash, renames and removes them', async () => {
    const { files, close } = await newDisk()();
    expect(await files.size('x.part')).toBeNull();
    await files.append('x.part', bytes('ab'));
    await files.append('x.part', bytes('c'));
    expect(await files.size('x.part')).toBe(3);
    expect(await files.sha256('x.part')).toBe(sha256('abc'));
    await files.rename('x.part', 'x');
    expect(await files.list()).toEqual(['x']);
    expect(Buffer.from(await files.read('x')).toString()).toBe('abc');
    expect(await files.putNamed('x', bytes('abc'))).toBe(false);
    const name = sha256('d');
    for (const _ of ['first', 'again']) expect(await files.putNamed(name, bytes('d'))).toBe(true);
    expect((await files.list()).slice().sort()).toEqual([name, 'x'].sort());
    expect([await files.size(name), await files.sha256(name)]).toEqual([1, name]);
    await files.remove(name);
    await files.remove('x');
    await files.remove('x');
    expect(await files.list()).toEqual([]);
    await close();
  });
}
