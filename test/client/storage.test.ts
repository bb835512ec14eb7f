import { appendFile, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openNodeStorage } from '../../src/client/node-storage.ts';
import type { DeviceStorage } from '../../src/client/storage.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';
import { MemoryDisk } from './memory-disk.ts';
import { storageContract } from './storage-contract.ts';

const temporary = useTemporaryFolder();

const disks: Record<string, () => () => Promise<DeviceStorage>> = {
  'a folder': () => () => openNodeStorage(temporary('device')),
  memory: () => {
    const disk = new MemoryDisk();
    return () => Promise.resolve(disk.open());
  },
};

describe.each(Object.entries(disks))('storage in %s', (_, newDisk) => storageContract(newDisk));

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
