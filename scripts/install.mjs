// Installs the packages that package-lock.json names, when they are not there yet. Runs before every npm script, so it
// knows nothing but Node itself, says nothing when there is nothing to do, and never writes to stdout (the output of
// `npm run -s attune -- token` is a token and nothing else). Its argument is a folder with a package.json of its own;
// without one it is this project.

import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const POLL_MS = 200;
/** No install takes this long: such a lock was left behind, and its process id may be another program's by now. */
const ABANDONED_AFTER_MS = 30 * 60_000;
const root = join(fileURLToPath(new URL('..', import.meta.url)), process.argv[2] ?? '');
/** Not in node_modules, which npm may remove. */
const lock = join(root, '.install.tmp');

/** Fails with one line that names the remedy when this Node is older than package.json asks for. */
function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [wantedMajor, wantedMinor] = readJson('package.json')
    .engines.node.match(/\d+/g)
    .map(Number);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  fail(
    `Attune needs Node ${wantedMajor}.${wantedMinor} or newer, and this is ${process.versions.node}: install a newer Node and run the command again.`,
  );
}

/** Whether every package of the lock file is installed at its version. npm writes its own record of what it installed
 *  last of all, so an install that was cut off counts as none. */
function isInstalled() {
  const installed = readJson('node_modules/.package-lock.json')?.packages;
  if (installed === undefined) return false;
  return Object.entries(readJson('package-lock.json').packages).every(
    ([path, wanted]) =>
      path === '' ||
      // optional packages are for other systems, or not
      (wanted.optional === true && installed[path] === undefined) ||
      installed[path]?.version === wanted.version,
  );
}

function readJson(name) {
  try {
    return JSON.parse(readFileSync(join(root, name), 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Installs, unless another process is at it: then waits for that one. */
function installOnce() {
  if (!take()) {
    process.stderr.write('Another process is installing the packages: waiting for it ...\n');
    while (!take()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS);
  }
  try {
    if (!isInstalled()) install();
  } finally {
    rmSync(lock, { force: true });
  }
}

function take() {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    if (isAbandoned()) rmSync(lock, { force: true });
    return false;
  }
}

/** Whether the process that took the lock is gone, and nobody will give the lock back. */
function isAbandoned() {
  try {
    if (Date.now() - statSync(lock).mtimeMs > ABANDONED_AFTER_MS) return true;
    const pid = Number(readFileSync(lock, 'utf8'));
    // empty: being written just now
    if (pid > 0) process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

// Not `npm ci`: it refuses a lock file that leaves out a binary for another system, and registries that mirror others
// do not have them all. The versions come from the lock file all the same, and nothing is written to it.
function install() {
  process.stderr.write('Installing packages ...\n');
  const npm = process.env.npm_execpath;
  const [command, ...args] = npm?.endsWith('.js') ? [process.execPath, npm] : ['npm'];
  const { status, error } = spawnSync(command, [...args, 'install', '--no-save', '--include=dev'], {
    cwd: root,
    // npm's own output goes to stderr as well
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32' && command === 'npm',
  });
  if (error !== undefined)
    fail(`npm could not be started (${error.message}): is npm installed and on the PATH?`);
  if (status !== 0)
    fail(
      'npm install failed (see above): check the network and the npm registry setting, then run the command again.',
    );
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

checkNode();
if (!isInstalled()) installOnce();
