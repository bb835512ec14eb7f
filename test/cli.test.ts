import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../src/db/database.ts';
import { ApiClient } from './support/api/api-client.ts';
import { AttuneProcess } from './support/servers/attune-process.ts';
import { newDataFolder } from './support/servers/databases.ts';
import { freePort } from './support/servers/server-process.ts';

let folder = '';
let running: AttuneProcess[] = [];
const usedFolders: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-cli-'));
});
afterEach(async () => {
  for (const started of running) {
    started.kill('SIGKILL');
    await started.exit();
  }
  running = [];
});
afterAll(async () => {
  for (const made of [folder, ...usedFolders]) await rm(made, { recursive: true, force: true });
});

function attune(...args: string[]): AttuneProcess {
  const started = new AttuneProcess(args, {
    ATTUNE_CACHE: join(folder, 'cache'),
    // no package index answers there: the default base is out of reach
    PIP_INDEX_URL: 'http://127.0.0.1:9/',
    PIP_RETRIES: '0',
  });
  running.push(started);
  return started;
}

const data = (name: string) => join(folder, name);
const serve = (dataDir: string, ...args: string[]) =>
  attune('all', '--port', '0', '--model', 'tiny', '--data', dataDir, ...args);
/** A folder that a server has used before; a first start is the subject of the first test below alone. */
async function usedData(): Promise<string> {
  const dataDir = await newDataFolder();
  usedFolders.push(dataDir);
  return dataDir;
}
const urlOf = (server: AttuneProcess) => server.printed(/running at (\S+)/);

describe('attune', () => {
  it('lists its commands and settings', async () => {
    const help = attune('--help');
    expect(await help.exit()).toBe(0);
    expect(help.stdout).toMatch(/all[\s\S]*serve[\s\S]*train[\s\S]*token/);
    const serveHelp = attune('serve', '--help');
    expect(await serveHelp.exit()).toBe(0);
    expect(serveHelp.stdout).toMatch(
      /--port <number>[\s\S]*PORT[\s\S]*--data <folder>[\s\S]*ATTUNE_DATA/,
    );
  });

  const slips: readonly [string, string[], string][] = [
    ['an unknown command', ['sing'], 'too many arguments'],
    ['an unknown flag', ['--prot', '1'], "unknown option '--prot'"],
    ['a value that does not fit', ['--port', 'abc'], '--port is "abc": expected a whole number'],
    [
      'a mode that there is not',
      ['--port', '0', '--modes', 'sing'],
      'no mode "sing"; known modes: continue',
    ],
    ['a server with no database to share', ['serve'], 'Name a PostgreSQL with --database-url'],
    ['a trainer with no database to share', ['train'], 'or run everything in one process'],
    ['a token without a user', ['token'], "required option '--user <name>' not specified"],
    ['a token for nobody', ['token', '--user', ''], 'user is ""'],
    [
      'a model that there is not',
      ['--port', '0', '--model', './none.gguf'],
      'there is no such file or folder',
    ],
  ];
  it.each(slips)('explains %s in one line, without a stack', async (_, args, message) => {
    const slip = attune(...args, ...(args[0] === 'sing' ? [] : ['--data', data('slips')]));
    expect(await slip.exit()).toBe(1);
    expect(slip.stderr).toContain(message);
    expect(slip.stderr).not.toMatch(/^\s+at /m);
    expect(slip.stdout).toBe('');
  });

  it('finds nothing wrong with an empty database, and lists that nobody and nothing is in it', async () => {
    const there = ['--data', await usedData()];
    const doctor = attune('doctor', '--model', 'tiny', ...there);
    expect([await doctor.exit(), doctor.stderr]).toEqual([0, '']);
    expect(doctor.stdout).toMatch(/^ok {2}database/m);
    const users = attune('users', ...there);
    expect([await users.exit(), users.stdout]).toEqual([0, '']);
    const jobs = attune('jobs', '--retry', ...there);
    expect([await jobs.exit(), jobs.stdout]).toEqual([0, '0 queued again\n']);
    const backup = attune('backup', data('backup'), ...there);
    expect([await backup.exit(), backup.stdout]).toEqual([0, '0 rows, 0 adapters\n']);
    const restore = attune('restore', data('backup'), '--data', data('restored'));
    expect([await restore.exit(), restore.stdout]).toEqual([0, '0 rows, 0 adapters\n']);
  });

  it('prints a token and nothing else', async () => {
    const token = attune('token', '--user', 'anna', '--data', data('token'));
    expect(await token.exit()).toBe(0);
    expect(token.stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    expect(token.stderr).toBe('');
  });
});

describe('attune all', () => {
  it('prints where it is, a token, and commands that work as they are pasted', async () => {
    const server = serve(data('first'));
    const url = await urlOf(server);
    const token = await server.printed(/Token of the user demo:\n(\S+)/);
    await server.printed(/Tokens for other users/);
    expect(server.stderr).toContain('tokens are signed with the key of this server');
    const client = new ApiClient(url, token);
    const bodies = [...server.stdout.matchAll(/-d '(.*)'/g)].map(([, body]) => body ?? '');
    expect(bodies).toHaveLength(3);
    for (const body of bodies) {
      const response = await client.post(body);
      expect([response.status, await response.json()]).toEqual([200, { data: expect.anything() }]);
    }
    const other = attune('token', '--user', 'anna', '--data', data('first'));
    expect(await other.exit()).toBe(0);
    const anna = new ApiClient(url, other.stdout.trim());
    expect(await anna.ask('{ viewer { devices { id } } }')).toEqual({ viewer: { devices: [] } });

    const ready = await fetch(`${url}/readyz`);
    expect([ready.status, await ready.json()]).toMatchObject([200, { status: 'ready' }]);
    expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/^attune_tokens_total [1-9]/m);

    const second = serve(data('first'));
    expect(await second.exit()).toBe(1);
    expect(second.stderr).toContain(
      `The data folder ${resolve(data('first'))} is in use by process`,
    );
    expect(second.stderr).toContain('--data');

    const port = new URL(url).port;
    const crowd = attune('--model', 'tiny', '--data', await usedData(), '--port', port);
    expect(await crowd.exit()).toBe(1);
    expect(crowd.stderr).toMatch(/port \d+: another program uses it[\s\S]*--port/);

    const children = await server.children();
    expect(children.length).toBeGreaterThan(0);
    server.kill('SIGINT');
    expect(await server.exit()).toBe(0);
    for (const pid of children) expect(() => process.kill(pid, 0)).toThrow();
  });

  it('refuses data that was made with another base, naming both and the remedy', async () => {
    const dataDir = await usedData();
    const database = await openDatabase({ dataDir });
    const made = { sha256: 'f'.repeat(64), name: 'Big-1B', model: 'org/Big-1B' };
    await database.kysely
      .insertInto('facts')
      .values({ key: 'base', value: JSON.stringify(made) })
      .execute();
    await database.close();
    const server = serve(dataDir);
    expect(await server.exit()).toBe(1);
    expect(server.stderr).toContain('made with the base model Big-1B (ffffffffffff)');
    expect(server.stderr).toContain('Start with --model org/Big-1B, or use another folder');
    expect(server.stderr).not.toMatch(/^\s+at /m);
  });

  it('goes on with the tiny base, saying so, where the default one cannot be fetched', async () => {
    const healthPort = String(await freePort());
    const ports = ['--port', '0', '--health-port', healthPort];
    const server = attune('all', ...ports, '--data', await usedData());
    const url = await urlOf(server);
    const figures = (at: string) =>
      Promise.all(['readyz', 'metrics'].map((path) => fetch(`${at}/${path}`)));
    const statuses = async (at: string) => (await figures(at)).map(({ status }) => status);
    expect(await statuses(`http://127.0.0.1:${healthPort}`)).toEqual([200, 200]);
    // figures are nobody's business who can only reach the API
    expect(await statuses(url)).toEqual([404, 404]);
    expect(await server.printed(/on the base model (\S+)\./)).toBe('attune-tiny');
    expect(server.stderr).toContain('The default base model cannot be fetched');
    expect(server.stderr).toContain('Going on with the tiny base model');
    server.kill('SIGTERM');
    expect(await server.exit()).toBe(0);
  });

  it('ends when it is told to before it has started', async () => {
    const server = serve(await usedData());
    await expect.poll(() => server.stderr + server.stdout).not.toBe('');
    server.kill('SIGTERM');
    expect(await server.exit()).toBe(0);
  });
});
