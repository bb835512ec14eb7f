import { randomUUID } from 'node:crypto';
import { appendFile, readdir, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openNodeStorage } from '../../../src/client/storage/node-storage.ts';
import { openReactNativeStorage } from '../../../src/client/storage/react-native-storage.ts';
import { type DeviceStorage, QuotaError } from '../../../src/client/storage/storage.ts';
import { useTemporaryFolder } from '../../support/temporary-folder.ts';
import { MemoryDisk } from './memory-disk.ts';
import { phoneFs } from './phone-fs.ts';
import { storageContract } from './storage-contract.ts';

const temporary = useTemporaryFolder();

const disks: Record<string, () => () => Promise<DeviceStorage>> = {
  'a folder': () => () => openNodeStorage(temporary('device')),
  'a phone': () => {
    const folder = temporary(randomUUID());
    return () => openReactNativeStorage(folder, phoneFs());
  },
  memory: () => {
    const disk = new MemoryDisk();
    return () => Promise.resolve(disk.open());
  },
};

describe.each(Object.entries(disks))('storage in %s', (_, newDisk) => storageContract(newDisk));

it.each([
  ['a folder', (folder: string) => openNodeStorage(folder)],
  ['a phone', (folder: string) => openReactNativeStorage(folder, phoneFs())],
] as const)(
  'leaves nothing of what was removed from %s once it was compacted (DEV-28)',
  async (_, openAt) => {
    const folder = temporary(randomUUID());
    const storage = await openAt(folder);
    await storage.write([['a', 'a private word']]);
    await storage.write([['a', undefined]]);
    await storage.compact();
    for (const name of await readdir(folder)) {
      if (name.endsWith('.jsonl'))
        expect(await readFile(join(folder, name), 'utf8')).not.toContain('private');
    }
    await storage.close();
  },
);

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
      const writes = ends.findLastIndex((end) => end <= cut);
      expect((await again.get('n')) ?? 0).toBe(Math.max(0, writes));
      expect(await again.list('key')).toHaveLength(Math.max(0, writes));
      await again.close();
    }
  });
});

describe('storage on a phone', () => {
  const open = (folder: string, fs = phoneFs()) => openReactNativeStorage(folder, fs);

  it('is opened by one client at a time', async () => {
    const folder = temporary('phone');
    const first = await open(folder);
    await expect(open(folder)).rejects.toThrow('another client');
    await first.close();
    await (await open(folder)).close();
  });

  it('has every whole write and no part of a torn one, wherever the app was killed (DEV-1)', async () => {
    const folder = temporary('phone');
    const first = await open(folder);
    for (const n of [1, 2, 3])
      await first.write([
        ['n', n],
        [`key ${n}`, 'ä'.repeat(n)],
      ]);
    await first.close();
    const [name = ''] = (await readdir(folder)).filter((one) => one.startsWith('state-'));
    const whole = await readFile(join(folder, name));
    for (let cut = 0; cut <= whole.length; cut += 7) {
      const again = temporary(randomUUID());
      const fs = phoneFs();
      await fs.mkdir(again);
      await appendFile(join(again, name), whole.subarray(0, cut));
      const storage = await open(again, fs);
      const n = Number((await storage.get('n')) ?? 0);
      expect(await storage.list('key')).toHaveLength(n);
      await storage.close();
    }
  });

  it('goes on from the journal before when a start was killed while it wrote the next one', async () => {
    const folder = temporary('phone');
    const first = await open(folder);
    await first.write([['kept', true]]);
    await first.close();
    await appendFile(join(folder, 'state-2.jsonl'), '\ntorn');
    const second = await open(folder);
    expect(await second.get('kept')).toBe(true);
    await second.close();
    const names = await readdir(folder);
    expect(names.filter((one) => one.startsWith('state-'))).toEqual(['state-3.jsonl']);
  });

  it('says that the phone is full, and keeps what comes after it', async () => {
    const fs = phoneFs();
    const storage = await open(temporary('phone'), fs);
    fs.tearNext('ENOSPC: no space left on device, write');
    await expect(storage.write([['lost', 1]])).rejects.toThrow(QuotaError);
    await storage.write([['kept', 2]]);
    await storage.close();
    const again = await open(temporary('phone'), fs);
    expect(await again.list('')).toEqual([['kept', 2]]);
    await again.close();
  });
});
