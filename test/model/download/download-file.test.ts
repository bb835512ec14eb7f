import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../../src/lib/errors.ts';
import { sha256 } from '../../../src/lib/sha256.ts';
import { type DownloadRequest, downloadFile } from '../../../src/model/download/download-file.ts';
import { instantClock } from '../../support/clocks/instant-clock.ts';
import { type FileServer, startFileServer } from '../../support/servers/file-server.ts';
import { useTemporaryFolder } from '../../support/temporary-folder.ts';

const inFolder = useTemporaryFolder();
const CONTENT = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7) % 251);

function requestOf(server: FileServer, change: Partial<DownloadRequest> = {}): DownloadRequest {
  return {
    url: `${server.url}/file?secret=1`,
    path: inFolder('file'),
    sha256: sha256(CONTENT),
    sizeBytes: CONTENT.length,
    ...change,
  };
}

async function serverWith(content = CONTENT): Promise<FileServer> {
  return await startFileServer({ '/file': content });
}

async function fetchFrom(server: FileServer, change: Partial<DownloadRequest> = {}): Promise<void> {
  await downloadFile(requestOf(server, change), {
    clock: instantClock(),
    onProgress: server.received,
  });
}

function expectDone(): void {
  expect(readdirSync(inFolder())).toEqual(['file']);
  expect(Buffer.from(CONTENT).equals(readFileSync(inFolder('file')))).toBe(true);
}

test('a file comes whole, with progress to its end, and is not fetched twice', async () => {
  const server = await serverWith();
  const progress: [number, number | null][] = [];
  const options = {
    clock: instantClock(),
    onProgress: (done: number, total: number | null) => progress.push([done, total]),
  };
  await downloadFile(requestOf(server), options);
  expectDone();
  expect(progress.at(-1)).toEqual([5000, 5000]);
  await downloadFile(requestOf(server), options);
  expect(server.requests).toHaveLength(1);
});

describe('a connection that breaks', () => {
  test('is continued where it broke', async () => {
    const server = await serverWith();
    server.faults.push({ kind: 'cut', afterBytes: 1000 }, { kind: 'cut', afterBytes: 500 });
    await fetchFrom(server);
    expectDone();
    expect(server.requests.map(({ range }) => range)).toEqual([
      undefined,
      'bytes=1000-',
      'bytes=1500-',
    ]);
  });

  test('however often, loses no byte and adds none', async () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 900 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(cuts, async (lengths) => {
        const server = await serverWith();
        server.faults.push(...lengths.map((afterBytes) => ({ kind: 'cut' as const, afterBytes })));
        const path = inFolder(`file-${lengths.join('-')}`);
        await fetchFrom(server, { path });
        expect(Buffer.from(CONTENT).equals(readFileSync(path))).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  test('starts over with a server that knows no ranges', async () => {
    const server = await serverWith();
    server.supportsRanges = false;
    server.faults.push({ kind: 'cut', afterBytes: 1000 });
    await fetchFrom(server);
    expectDone();
    expect(server.requests.map(({ range }) => range)).toEqual([undefined, undefined]);
  });

  test('is continued by the next process, too', async () => {
    const server = await serverWith();
    server.faults.push({ kind: 'cut', afterBytes: 2000 });
    const stop = new AbortController();
    const stopped = downloadFile(requestOf(server), {
      clock: instantClock(),
      signal: stop.signal,
      onProgress: (done) => {
        if (done === 2000) stop.abort(new Error('Ctrl-C'));
      },
    });
    await expect(stopped).rejects.toThrow('Ctrl-C');
    expect(readdirSync(inFolder()).sort()).toEqual(['file.part', 'file.part.tag']);
    await fetchFrom(server);
    expectDone();
    expect(server.requests.at(-1)?.range).toBe('bytes=2000-');
  });

  test('is given up after six tries without a byte, with the waits growing', async () => {
    const server = await serverWith();
    server.faults.push(
      ...Array.from({ length: 9 }, () => ({ kind: 'cut' as const, afterBytes: 0 })),
    );
    const clock = instantClock();
    const attempt = downloadFile(requestOf(server), { clock });
    await expect(attempt).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(attempt).rejects.toThrow(/tried 6 times/);
    expect(clock.sleeps).toEqual([500, 1000, 2000, 4000, 8000]);
  });
});

describe('what was left by an earlier download', () => {
  test('of another version of the file is thrown away by the server', async () => {
    const server = await serverWith();
    writeFileSync(inFolder('file.part'), 'old bytes');
    writeFileSync(inFolder('file.part.tag'), '"old"');
    await fetchFrom(server);
    expectDone();
    expect(server.requests).toHaveLength(1);
  });

  test('and is damaged is found out by its hash, and everything fetched again', async () => {
    const server = await serverWith();
    writeFileSync(inFolder('file.part'), 'old bytes');
    writeFileSync(inFolder('file.part.tag'), `"${sha256(CONTENT)}"`);
    await fetchFrom(server);
    expectDone();
    expect(server.requests.map(({ range }) => range)).toEqual(['bytes=9-', undefined]);
  });

  test('and is complete needs no more bytes', async () => {
    const server = await serverWith();
    writeFileSync(inFolder('file.part'), CONTENT);
    writeFileSync(inFolder('file.part.tag'), `"${sha256(CONTENT)}"`);
    await fetchFrom(server);
    expectDone();
    expect(server.requests.map(({ range }) => range)).toEqual(['bytes=5000-']);
  });

  test('and is longer than the file is thrown away', async () => {
    const server = await serverWith();
    writeFileSync(inFolder('file.part'), Buffer.concat([CONTENT, CONTENT]));
    writeFileSync(inFolder('file.part.tag'), `"${sha256(CONTENT)}"`);
    await fetchFrom(server);
    expectDone();
    expect(server.requests.map(({ range }) => range)).toEqual(['bytes=10000-', undefined]);
  });

  test('under the final name, but damaged, is fetched again', async () => {
    const server = await serverWith();
    writeFileSync(
      inFolder('file'),
      CONTENT.map((byte) => byte ^ 1),
    );
    await fetchFrom(server);
    expectDone();
  });
});

describe('an answer that is not the file', () => {
  test('404 is NOT_FOUND at once, without the secret of the address', async () => {
    const server = await startFileServer({});
    const attempt = downloadFile(requestOf(server), { clock: instantClock() });
    await expect(attempt).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(attempt).rejects.toThrow(/\/file answers 404 Not Found$/);
    expect(server.requests).toHaveLength(1);
  });

  test('403 is UNAVAILABLE at once', async () => {
    const server = await serverWith();
    server.faults.push({ kind: 'status', status: 403 });
    await expect(downloadFile(requestOf(server), { clock: instantClock() })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    expect(server.requests).toHaveLength(1);
  });

  test('429 and 5xx are tried again, as late as the server asks', async () => {
    const server = await serverWith();
    server.faults.push(
      { kind: 'status', status: 429, headers: { 'retry-after': '3' } },
      { kind: 'status', status: 503 },
    );
    const clock = instantClock();
    await downloadFile(requestOf(server), { clock });
    expectDone();
    expect(clock.sleeps).toEqual([3000, 1000]);
  });

  test('other bytes than expected are refused with both hashes and leave nothing', async () => {
    const other = CONTENT.map((byte) => byte ^ 1);
    const server = await serverWith(other);
    const attempt = downloadFile(requestOf(server), { clock: instantClock() });
    await expect(attempt).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(attempt).rejects.toThrow(
      `has SHA-256 ${sha256(other)}, expected ${sha256(CONTENT)}`,
    );
    expect(readdirSync(inFolder())).toEqual([]);
  });

  test('another size than expected is refused before it is fetched', async () => {
    const server = await serverWith(new Uint8Array(9));
    const attempt = downloadFile(requestOf(server), { clock: instantClock() });
    await expect(attempt).rejects.toThrow(/has 9 bytes, expected 5000/);
  });

  test('a server that cannot be reached is UNAVAILABLE with the reason', async () => {
    const server = await serverWith();
    await server.close();
    const attempt = downloadFile(requestOf(server), { clock: instantClock() });
    await expect(attempt).rejects.toBeInstanceOf(AppError);
    await expect(attempt).rejects.toThrow(/\/file cannot be reached: .*ECONNREFUSED/);
  });
});
