// A server program started for the tests: ready when its log says so, gone when the tests are.

import { execFileSync, spawn } from 'node:child_process';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A running server. */
export interface ServerProcess {
  readonly url: string;
  stop(): Promise<void>;
}

/** Whom a server program runs as: PostgreSQL refuses to run as root. */
export interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

/** The `postgres` account, else `nobody`, when we are root; else whoever we are. */
export function unprivilegedAccount(): Account {
  if (process.getuid?.() !== 0) return {};
  const names = ['postgres', 'nobody'];
  const name = names.find((candidate) => idOf('-u', candidate) !== null) ?? 'nobody';
  return { uid: Number(idOf('-u', name)), gid: Number(idOf('-g', name)) };
}

function idOf(flag: string, name: string): string | null {
  try {
    return execFileSync('id', [flag, name], { encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return null; // no such account
  }
}

/** A folder of the account's own, for a server's files. */
export async function makeServerFolder(account: Account): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'attune-server-'));
  if (account.uid !== undefined && account.gid !== undefined) {
    await chown(folder, account.uid, account.gid);
  }
  return folder;
}

/** A server whose process may die and come back. */
export interface RestartableServer extends ServerProcess {
  /** Ends the process at once and starts it on what it has left on its disk. */
  restart(signal: 'SIGKILL' | 'SIGQUIT'): Promise<void>;
}

interface ServerProgram {
  readonly program: string;
  readonly args: readonly string[];
  readonly account: Account;
  readonly folder: string;
  readonly readyLine: string;
  readonly url: string;
}

/** Starts a server program in its folder and waits for `readyLine` in its log. Stopping it removes the folder. */
export async function startServerProcess(options: ServerProgram): Promise<RestartableServer> {
  let running = await startChild(options);
  const end = () => running.end('SIGQUIT');
  process.once('exit', end);
  return {
    url: options.url,
    restart: async (signal) => {
      await running.end(signal);
      running = await startChild(options);
    },
    stop: async () => {
      process.removeListener('exit', end);
      await end();
      await rm(options.folder, { recursive: true, force: true });
    },
  };
}

async function startChild({ program, args, account, folder, readyLine }: ServerProgram) {
  const child = spawn(program, args, {
    ...account,
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    let log = '';
    const read = (chunk: Buffer) => {
      log += chunk.toString();
      if (log.includes(readyLine)) resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`${program} ended at once:\n${log}`)));
  });
  return {
    end: (signal: NodeJS.Signals) => {
      child.kill(signal);
      return exited;
    },
  };
}

/** A port that nobody listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
