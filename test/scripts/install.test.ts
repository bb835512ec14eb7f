import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const script = new URL('../../scripts/install.mjs', import.meta.url);

/** A project with one package, which lies beside it: installing it needs no network. */
let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'attune-install-'));
  await mkdir(join(root, 'scripts'));
  await mkdir(join(root, 'friend'));
  await cp(script, join(root, 'scripts', 'install.mjs'));
  await writeJson('friend/package.json', { name: 'friend', version: '1.0.0' });
  await writeProject('>=20.19');
  await writeJson('package-lock.json', {
    name: 'project',
    version: '1.0.0',
    lockfileVersion: 3,
    requires: true,
    packages: {
      '': { name: 'project', version: '1.0.0', dependencies: { friend: 'file:friend' } },
      friend: { version: '1.0.0' },
      'node_modules/friend': { resolved: 'friend', link: true },
    },
  });
});
afterEach(() => rm(root, { recursive: true }));

describe('scripts/install.mjs', () => {
  it('installs what the lock file names, saying so on stderr alone', async () => {
    const { stdout, stderr } = await install();
    expect(stdout).toBe('');
    expect(stderr).toContain('Installing packages');
    expect(await readFile(join(root, 'node_modules/friend/package.json'), 'utf8')).toContain(
      'friend',
    );
  });

  it('does and says nothing when all is there', async () => {
    await install();
    const before = await stat(join(root, 'node_modules'));
    expect(await install()).toMatchObject({ stdout: '', stderr: '' });
    expect((await stat(join(root, 'node_modules'))).ino).toBe(before.ino);
  });

  it('installs again after an install that was cut off', async () => {
    await install();
    await rm(join(root, 'node_modules/.package-lock.json'));
    expect((await install()).stderr).toContain('Installing packages');
  });

  it('installs once when it is started twice at the same time', async () => {
    const outputs = await Promise.all([install(), install()]);
    const installs = outputs.filter(({ stderr }) => stderr.includes('Installing packages'));
    expect(installs).toHaveLength(1);
  });

  it('takes over the lock of an installer that was killed', async () => {
    const { stdout } = await run(process.execPath, ['-p', 'process.pid']);
    await writeFile(join(root, '.install.tmp'), stdout.trim());
    expect((await install()).stderr).toContain('Installing packages');
  });

  it('refuses a Node that is too old, naming both versions', async () => {
    await writeProject('>=999.1');
    await expect(install()).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        `needs Node 999.1 or newer, and this is ${process.versions.node}`,
      ),
    });
  });

  it('fails with the remedy when npm fails', async () => {
    await writeJson('package.json', {
      name: 'project',
      version: '1.0.0',
      engines: { node: '>=20.19' },
      dependencies: { friend: 'file:friend', stranger: '1.0.0' },
    });
    await expect(install()).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('npm install failed'),
    });
  });
});

function install() {
  return run(process.execPath, [join(root, 'scripts', 'install.mjs')]);
}

function writeProject(node: string) {
  return writeJson('package.json', {
    name: 'project',
    version: '1.0.0',
    engines: { node },
    dependencies: { friend: 'file:friend' },
  });
}

function writeJson(name: string, value: object) {
  return writeFile(join(root, name), JSON.stringify(value));
}
