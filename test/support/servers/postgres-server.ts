import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import pg from 'pg';
import { requireProgram } from './programs.ts';
import {
  freePort,
  makeServerFolder,
  type RestartableServer,
  startServerProcess,
  unprivilegedAccount,
} from './server-process.ts';

/** What a database that nobody will miss can do without. */
const FAST = ['fsync=off', 'full_page_writes=off', 'shared_buffers=32MB'];
/** Faster still, but the server's end loses what it had just committed. */
const FORGETFUL = [...FAST, 'synchronous_commit=off'];

/** Starts a PostgreSQL of the tests' own on a free port; `url` is that of its `postgres` database. A durable one keeps what it
 *  has committed when its process dies; one as installed, when the machine's power does, too. */
export async function startPostgres({
  isDurable = false,
  isAsInstalled = false,
} = {}): Promise<RestartableServer> {
  const account = unprivilegedAccount();
  const folder = await makeServerFolder(account);
  const data = join(folder, 'data');
  const port = await freePort();
  const create = ['-D', data, '--auth=trust', '--username=postgres', '--encoding=UTF8'];
  execFileSync(requireProgram('initdb'), [...create, '--locale=C', '--no-sync'], {
    ...account,
    cwd: folder,
    stdio: 'pipe',
    timeout: 180_000,
  });
  const settings = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${folder}`,
    ...(isAsInstalled ? [] : isDurable ? FAST : FORGETFUL),
  ];
  return startServerProcess({
    program: requireProgram('postgres'),
    args: ['-D', data, ...settings.flatMap((setting) => ['-c', setting])],
    account,
    folder,
    readyLine: 'ready to accept connections',
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
  });
}

/** The URL of a new, empty database of the server. */
export async function newDatabaseOn(serverUrl: string): Promise<string> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const client = new pg.Client(serverUrl);
  await client.connect();
  await client.query(`create database ${name}`);
  await client.end();
  return serverUrl.replace(/\/postgres$/, `/${name}`);
}
