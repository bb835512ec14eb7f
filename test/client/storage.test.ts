import { appendFile, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openNodeStorage } from '../../src/client/node-storage.ts';
import type { DeviceStorage } from '../../src/client/storage.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';
import { MemoryDisk } from './memory-disk.ts';

const temporary = useTemporaryFolder();
const bytes = (text: string) => new TextEncoder().encode(text);

const disks: Record<string, () => () => Promise<DeviceStorage>> = {
  'a folder': () => () => openNodeStorage(temporary('device')),
  memory: () => {
    const disk = new MemoryDisk();
    return () => Promise.resolve(disk.open());
  },
};

describe.each(Object.entries(disks))('storage in %s', (_, newDisk) => {
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
    await files.remove('x');
    await files.remove('x');
    expect(await files.list()).toEqual([]);
    await close();
  });
});

describe('storage in a folder', () => {
  it('is opened by one client at a time', async () => {
    const first = await openNodeStorage(temporary('device'));
    await expect(openNodeStorage(temporary('device'))).rejects.toThrow('another client');
    await first.close();
  });

  it('has every whole write and no part of a torn one, wherever the journal was cut (DEV-1)', async () => {
    const folder = temporary('device');
    const path = join(folder, 'state.jsonl');
    const storage = await openNodeStorage(folder);
    const ends = [(await readFile(path)).length];
    for (const n of [1, 2, 3]) {
      await storage.write([
        ['n', n],
        [`key ${n}`, 'ä'.repeat(n)],
      ]);
      ends.push((await readFile(path)).length);
    }
    await storage.close();
    const whole = await readFile(path);
    for (let cut = whole.length; cut >= 0; cut -= 1) {
      await truncate(path, 0);
      await appendFile(path, whole.subarray(0, cut));
      const again = await openNodeStorage(folder);
      // a line without its end is as good as one with it
      const writes = ends.findLastIndex((end) => end <= cut + 1);
      expect((await again.get('n')) ?? 0).toBe(Math.max(0, writes));
      expect(await again.list('key')).toHaveLength(Math.max(0, writes));
      await again.close();
    }
  });
});
