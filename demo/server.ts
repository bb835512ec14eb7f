// A server in a process of its own, started from this checkout as `npm run build` made it, on a free port.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Account } from './phone.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** A running server and the account of its user `demo`. */
export interface ServerProcess {
  readonly account: Account;
  /** Stops it as Ctrl-C does; resolves when it has ended. */
  close(): Promise<void>;
  /** Ends it as a power cut of its own would: kill -9. */
  kill(): Promise<void>;
}

/** How to start a server. */
export interface ServerOptions {
  readonly dataDir: string;
  /** More flags of `attune all`. */
  readonly flags: readonly string[];
  /** Told of each line that it prints while it starts. */
  onLine?(line: string): void;
  /** Told of each line of its log; absent: the log goes to our standard error. */
  onLog?(line: string): void;
}

/** Starts a server; resolves when it serves. Throws with what it printed when it ends before. */
export async function startServerProcess(options: ServerOptions): Promise<ServerProcess> {
  const flags = ['--port', '0', '--data', options.dataDir, ...options.flags];
  const child = spawn(process.execPath, ['dist/server/src/main.js', 'all', ...flags], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', options.onLog === undefined ? 'inherit' : 'pipe'],
  });
  if (options.onLog !== undefined && child.stderr !== null) {
    createInterface({ input: child.stderr }).on('line', options.onLog);
  }
  const close = () => stop(child, 'SIGINT');
  const kill = () => stop(child, 'SIGKILL');
  try {
    return { account: await readBanner(child, options), close, kill };
  } catch (error) {
    await kill();
    throw error;
  }
}

/** The banner names the address first and then shows a token. */
async function readBanner(child: ChildProcess, { onLine }: ServerOptions): Promise<Account> {
  if (child.stdout === null) throw new Error('the server has no standard output to read');
  const lines: string[] = [];
  let url: string | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    onLine?.(line);
    url ??= line.match(/https?:\/\/[^\s/]+/)?.[0];
    const token = line.match(/^ey[\w-]+\.[\w-]+\.[\w-]+$/)?.[0];
    if (url === undefined || token === undefined) continue;
    child.stdout.resume();
    return { url, token };
  }
  throw new Error(`the server ended before it served:\n${lines.join('\n')}`);
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, 'exit');
}
