import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Api, ApiError } from '../../../src/client/api.ts';
import { BadFileError, download } from '../../../src/client/sync/download.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { sha256 } from '../../../src/lib/sha256.ts';
import { handClock } from '../../support/clocks/hand-clock.ts';
import { startFileServer } from '../../support/servers/file-server.ts';
import { MemoryDisk } from '../storage/memory-disk.ts';

const signal = new AbortController().signal;

describe('a download', () => {
  const setUp = async (content: Uint8Array) => {
    const name = sha256(content);
    const server = await startFileServer({ [`/f/${name}`]: content });
    const disk = new MemoryDisk();
    const api = new Api({
      url: server.url,
      fetch,
      token: () => Promise.resolve('t'),
      clock: systemClock,
    });
    const file = { name: 'tensors', url: `/f/${name}`, sizeBytes: content.length, sha256: name };
    const onProgress = (_: unknown, done: number) => server.received(done);
    const run = () => download({ api, files: disk.open().files, onProgress }, file, signal);
    return { server, disk, file, run, name };
  };

  it('ends with the right bytes however often it breaks off, and asks for none that it has (DEV-6, DEV-7)', async () => {
    const content = randomBytes(300_000);
    const { server, disk, run, name } = await setUp(content);
    server.faults.push({ kind: 'cut', afterBytes: 100_000 }, { kind: 'cut', afterBytes: 1 });
    server.faults.push({ kind: 'status', status: 503 }, { kind: 'cut', afterBytes: 50_000 });
    const have: number[] = [];
    for (let n = 0; n < 4; n += 1) {
      have.push(disk.content.get(`${name}.part`)?.length ?? 0);
      await expect(run()).rejects.toThrow(ApiError);
    }
    have.push(disk.content.get(`${name}.part`)?.length ?? 0);
    await run();
    expect(disk.content.get(name)).toEqual(content);
    const asked = server.requests.map(({ range }) => Number(/\d+/.exec(range ?? '0')?.[0]));
    expect(asked).toEqual(have);
    expect(have.at(-1)).toBeGreaterThan(100_000);
  });

  it('begins anew where the server knows no ranges', async () => {
    const content = randomBytes(20_000);
    const { server, disk, run, name } = await setUp(content);
    server.supportsRanges = false;
    server.faults.push({ kind: 'cut', afterBytes: 10_000 });
    await expect(run()).rejects.toThrow(ApiError);
    await run();
    expect(disk.content.get(name)).toEqual(content);
  });

  it('keeps nothing of other bytes than promised, nor of more (DEV-6)', async () => {
    const { server, disk, run, name, file } = await setUp(Buffer.from('right'));
    server.files.set(file.url, Buffer.from('wrong'));
    await expect(run()).rejects.toThrow(BadFileError);
    server.files.set(file.url, Buffer.from('right and more'));
    await expect(run()).rejects.toThrow(/longer than 5 bytes/);
    expect([...disk.content.keys()]).toEqual([]);
    server.files.set(file.url, Buffer.from('right'));
    await run();
    expect([...disk.content.keys()]).toEqual([name]);
  });

  it('says whether trying again can help', async () => {
    const { server, run } = await setUp(Buffer.from('x'));
    server.faults.push({ kind: 'status', status: 404 });
    await expect(run()).rejects.toMatchObject({ code: 'NOT_FOUND', isRetryable: false });
    server.faults.push({ kind: 'status', status: 503, headers: { 'retry-after': '7' } });
    await expect(run()).rejects.toMatchObject({ isRetryable: true, retryAfterMs: 7000 });
  });

  it('gives up a connection that brings nothing any more', async () => {
    const clock = handClock(0);
    const silent = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new Uint8Array(1)),
    });
    const api = new Api({
      url: 'http://silent',
      fetch: () => Promise.resolve(new Response(silent)),
      token: () => Promise.resolve('t'),
      clock,
    });
    const disk = new MemoryDisk();
    const file = { name: 'f', url: '/f', sizeBytes: 2, sha256: 'name' };
    const { files } = disk.open();
    let turned = Promise.resolve();
    const onProgress = () => {
      turned = clock.advance(30_000);
    };
    await expect(download({ api, files, onProgress }, file, signal)).rejects.toMatchObject({
      code: 'OFFLINE',
    });
    await turned;
    expect(disk.content.get('name.part')).toHaveLength(1);
  });
});
