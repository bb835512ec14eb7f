import { randomUUID } from 'node:crypto';
import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
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

/** The text of every journal in the folder. */
async function journalsIn(folder: string): Promise<readonly string[]> {
  const names = (await readdir(folder)).filter((name) => name.startsWith('state'));
  return Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
}

describe.each([
  ['a folder', (folder: string) => openNodeStorage(folder)],
  ['a phone', (folder: string) => openReactNativeStorage(folder, phoneFs())],
] as const)('what is removed from %s', (_, openAt) => {
  it('leaves nothing once it was compacted, nor what it replaced (DEV-28, DEV-31)', async () => {
    const folder = temporary(randomUUID());
    const storage = await openAt(folder);
    await storage.write([
      ['a', 'a private word'],
      ['b', 'another private word'],
      ['c', 'kept'],
    ]);
    await storage.write([
      ['a', undefined],
      ['b', 'replaced'],
    ]);
    expect((await journalsIn(folder)).join('')).toContain('private');
    await storage.compact();
    expect(await journalsIn(folder)).toEqual([expect.not.stringContaining('private')]);
    await storage.close();
    const again = await openAt(folder);
    expect(await again.list('')).toEqual([
      ['b', 'replaced'],
      ['c', 'kept'],
    ]);
    await again.close();
  });

  it('has the journal written anew only where something was', async () => {
    const folder = temporary(randomUUID());
    const storage = await openAt(folder);
    await storage.write([['a', 1]]);
    await storage.compact();
    const files = async () =>
      Promise.all(
        (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).ino),
      );
    const before = await files();
    await storage.write([['b', 2]]);
    await storage.write([['nothing', undefined]]);
    await storage.compact();
    expect(await files()).toEqual(before);
    await storage.write([['b', 3]]);
    await storage.compact();
    expect(await files()).not.toEqual(before);
    await storage.close();
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
      const writes = ends.findLastIndex((end) => end <= cut);
      expect((await again.get('n')) ?? 0).toBe(Math.max(0, writes));
      expect(await again.list('key')).toHaveLength(Math.max(0, writes));
      await again.close();
    }
  });

  it('loses nothing when it is killed while the next journal is written, and keeps none of that (DEV-31)', async () => {
    const folder = temporary('device');
    const storage = await openNodeStorage(folder);
    await storage.write([['kept', true]]);
    await storage.close();
    await writeFile(join(folder, 'state.jsonl.next'), '\n0123 a private word');
    const again = await openNodeStorage(folder);
    expect(await again.list('')).toEqual([['kept', true]]);
    expect(await journalsIn(folder)).toEqual([expect.not.stringContaining('private')]);
    await again.close();
  });

  it('goes on with the journal that it has when the next one cannot be written', async () => {
    const folder = temporary('device');
    const storage = await openNodeStorage(folder);
    await storage.write([['a', 1]]);
    await storage.write([['a', 2]]);
    // a folder cannot be opened for writing
    await mkdir(join(folder, 'state.jsonl.next'));
    await expect(storage.compact()).rejects.toThrow('EISDIR');
    await storage.write([['b', 3]]);
    await rm(join(folder, 'state.jsonl.next'), { recursive: true });
    await storage.compact();
    await storage.write([['c', 4]]);
    await storage.close();
    const again = await openNodeStorage(folder);
    expect(await again.list('')).toEqual([
      ['a', 2],
      ['b', 3],
      ['c', 4],
    ]);
    await again.close();
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
    await second.compact();
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

  it('loses nothing wherever the app is killed while the next journal is written (DEV-31)', async () => {
    for (let calls = 0; calls < 8; calls += 1)
      for (const share of [0, 0.5, 1]) {
        const folder = temporary(randomUUID());
        const fs = phoneFs();
        const storage = await open(folder, fs);
        await storage.write([['a', 'a private word']]);
        await storage.write([
          ['a', undefined],
          ['kept', 1],
        ]);
        fs.killAfter(calls, share);
        await storage.compact().catch((error: Error) => expect(error.message).toBe('killed'));
        await storage.close();
        const again = await open(folder, phoneFs());
        expect(await again.list('')).toEqual([['kept', 1]]);
        await again.write([['more', 2]]);
        await again.compact();
        await again.close();
        expect(await journalsIn(folder)).toEqual([expect.not.stringContaining('private')]);
        const last = await open(folder, phoneFs());
        expect(await last.get('more')).toBe(2);
        await last.close();
      }
  });

  it('goes on with the journal that it has when the next one cannot be written whole', async () => {
    const fs = phoneFs();
    const folder = temporary('phone');
    const storage = await open(folder, fs);
    await storage.write([['a', 1]]);
    fs.tearNext('ENOSPC: no space left on device, write');
    await expect(storage.compact()).rejects.toThrow(QuotaError);
    await storage.write([['b', 2]]);
    expect(await journalsIn(folder)).toHaveLength(1);
    await storage.close();
    const again = await open(folder, fs);
    expect(await again.list('')).toEqual([
      ['a', 1],
      ['b', 2],
    ]);
    await again.close();
  });
});
