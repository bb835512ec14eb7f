// What is published: the package is built, packed and used as an app would.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);

let folder: string;
let installed: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-package-'));
  const built = join(folder, 'built');
  await run(process.execPath, ['scripts/build-client.mjs', built]);
  await run('npm', ['pack', built, '--silent'], { cwd: folder });
  const [tarball = ''] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'));
  installed = join(folder, 'app/node_modules/attune');
  await mkdir(installed, { recursive: true });
  await run('tar', ['xzf', join(folder, tarball), '--strip-components=1', '-C', installed]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('has code, types, a readme and a licence, and nothing of the server', async () => {
  const names = await readdir(installed, { recursive: true, withFileTypes: true });
  const files = names.filter((one) => one.isFile());
  const odd = files.filter(
    ({ name }) => !/\.(js|d\.ts)$|^(package\.json|README\.md|LICENSE|protocol\.md)$/.test(name),
  );
  expect(odd.map(({ name }) => name)).toEqual([]);
  const code = files.filter(({ name }) => name.endsWith('.js'));
  for (const { parentPath, name } of code) {
    const text = await readFile(join(parentPath, name), 'utf8');
    const imported = [...text.matchAll(/(?:from|import)\s*\(?"([^".\n][^"\n]*)"/g)].map(
      ([, from]) => from,
    );
    const isKnown = (from = '') => /^node:|^fs-native-extensions$|^onnxruntime-/.test(from);
    expect(imported.filter((from) => !isKnown(from))).toEqual([]);
    expect(text).not.toMatch(/kysely|nexus|bullmq/);
  }
  const { dependencies } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
  expect(dependencies).toBeUndefined();
});

it('is imported and typed in an app that has nothing else', async () => {
  const app = join(folder, 'app');
  await writeFile(join(app, 'package.json'), '{"type":"module"}');
  await writeFile(
    join(app, 'app.ts'),
    `import { type AttuneClient, openClient } from 'attune/client';
     import { openBrowserStorage } from 'attune/client/browser';
     import { openReactNativeStorage } from 'attune/client/react-native';
     export const start = async (): Promise<AttuneClient> => openClient({
       url: 'http://x', token: async () => 't', storage: await openBrowserStorage('x'),
       name: 'Phone', platform: 'web', webSocket: null,
     });
     // @ts-expect-error: a client needs a storage
     openClient({ url: 'http://x' });
     console.log(typeof openClient, typeof openBrowserStorage, typeof openReactNativeStorage);`,
  );
  const flags = [
    '--module',
    'nodenext',
    '--target',
    'es2022',
    '--strict',
    '--skipLibCheck',
    '--noEmit',
  ];
  const typed = run(resolve('node_modules/.bin/tsc'), [...flags, 'app.ts'], { cwd: app });
  expect((await typed.catch((error: { stdout: string }) => error)).stdout).toBe('');
  await writeFile(
    join(app, 'app.js'),
    `import { openClient } from 'attune/client';
     import { openBrowserStorage } from 'attune/client/browser';
     import { openReactNativeStorage } from 'attune/client/react-native';
     console.log(typeof openClient, typeof openBrowserStorage, typeof openReactNativeStorage);`,
  );
  const { stdout } = await run(process.execPath, ['app.js'], { cwd: app });
  expect(stdout.trim()).toBe('function function function');
});
