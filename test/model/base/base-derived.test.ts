import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { beforeEach, expect, test } from 'vitest';
import { sha256 } from '../../../src/lib/sha256.ts';
import { derive, derivedFile } from '../../../src/model/base/base-derived.ts';
import { type Base, openBase } from '../../../src/model/base/base-package.ts';
import { writeBase } from '../../../src/model/base/base-write.ts';
import { sampleCheckpoint } from '../../support/model/sample-checkpoint.ts';
import { useTemporaryFolder } from '../../support/temporary-folder.ts';

const inFolder = useTemporaryFolder();
let base: Base;

beforeEach(async () => {
  mkdirSync(inFolder('base'));
  await writeBase(sampleCheckpoint(), inFolder('base'), () => undefined);
  base = await openBase(inFolder('base'));
});

test('a derived file is made once and lies beside the canonical ones', async () => {
  let made = 0;
  const make = async (to: string) => {
    made += 1;
    await writeFile(to, 'graph');
  };
  const path = await derive(base, 'decode.v1.onnx', make);
  expect(path).toBe(inFolder('base/decode.v1.onnx'));
  expect(await derive(base, 'decode.v1.onnx', make)).toBe(path);
  expect(made).toBe(1);
  expect(await derivedFile(base, 'decode.v1.onnx')).toEqual({
    name: 'decode.v1.onnx',
    sizeBytes: 5,
    sha256: sha256('graph'),
  });
  expect(await openBase(base.dir)).toEqual(base);
});

test('callers at the same time wait for the one that makes it', async () => {
  let made = 0;
  const make = async (to: string) => {
    made += 1;
    await writeFile(to, 'graph');
  };
  await Promise.all(Array.from({ length: 5 }, () => derive(base, 'a', make)));
  expect(made).toBe(1);
});

test('a file that is not whole any more is made again', async () => {
  const make = (to: string) => writeFile(to, 'whole');
  const path = await derive(base, 'a', make);
  writeFileSync(path, 'who');
  expect(await derivedFile(base, 'a')).toBeNull();
  await derive(base, 'a', make);
  expect(readFileSync(path, 'utf8')).toBe('whole');
});

test('when making fails, nothing is there and the next call tries again', async () => {
  const failing = async (path: string) => {
    await writeFile(path, 'ha');
    throw new Error('disk full');
  };
  await expect(derive(base, 'a', failing)).rejects.toThrow('disk full');
  expect(await derivedFile(base, 'a')).toBeNull();
  expect(readdirSync(base.dir).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  await derive(base, 'a', (path) => writeFile(path, 'half'));
  expect(await derivedFile(base, 'a')).not.toBeNull();
});

test('a process killed in the middle of making leaves nothing that counts', async () => {
  const source = (name: string) =>
    JSON.stringify(new URL(`../../../src/model/base/${name}`, import.meta.url).href);
  const maker = spawn(process.execPath, [
    '--import',
    'tsx',
    '--input-type=module',
    '-e',
    `
    import { writeFileSync } from 'node:fs';
    import { derive } from ${source('base-derived.ts')};
    import { openBase } from ${source('base-package.ts')};
    const base = await openBase(${JSON.stringify(base.dir)});
    await derive(base, 'a', (path) => {
      writeFileSync(path, 'ha');
      console.log('half written');
      return new Promise(() => setInterval(() => undefined, 1000));
    });`,
  ]);
  await once(maker.stdout, 'data');
  maker.kill('SIGKILL');
  await once(maker, 'exit');
  expect(await derivedFile(base, 'a')).toBeNull();
  const path = await derive(base, 'a', (to) => writeFile(to, 'half'));
  expect(readFileSync(path, 'utf8')).toBe('half');
});
