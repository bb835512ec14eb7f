// A network of the system's own with a cable that can be pulled: where this process may make one, packets really vanish, and
// the system itself sends them again and again.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { requireProgram } from '../servers/programs.ts';
import { freePort } from '../servers/server-process.ts';

const PORT = 7_000;

/** Passes connections on: what it runs is told the two ends as arguments. */
const RELAY = `
const { createServer, connect } = require('node:net');
const [host, port, toHost, toPort] = process.argv.slice(1);
createServer((near) => {
  const far = connect(Number(toPort), toHost);
  near.pipe(far).pipe(near);
  for (const [one, other] of [[near, far], [far, near]]) one.on('error', () => other.destroy());
}).listen(Number(port), host, () => console.log('listens'));`;

/** A way to a server that leads through another network namespace and back. */
export interface Cable {
  /** The server's URL by way of the cable. */
  readonly url: string;
  /** Packets vanish from now on. */
  pull(): void;
  plug(): void;
  close(): Promise<void>;
}

/** Whether this process may make namespaces: it must be root, and where it runs must allow it. */
export function canLayCables(): boolean {
  if (process.getuid?.() !== 0) return false;
  const name = `attune-may-${process.pid}`;
  try {
    ip('netns', 'add', name);
    ip('netns', 'delete', name);
    return true;
  } catch {
    return false; // no such program, or not in this container
  }
}

/** Lays a cable to the server that the URL names, on this machine. */
export async function layCable(serverUrl: string): Promise<Cable> {
  const target = new URL(serverUrl);
  const name = `attune-${process.pid}`;
  const [near, far] = [`av${process.pid}n`, `av${process.pid}f`];
  const net = `10.${(process.pid >> 8) % 256}.${process.pid % 256}`;
  ip('netns', 'add', name);
  const relays: ChildProcess[] = [];
  let isLaid = false;
  const close = async () => {
    for (const child of relays) child.kill('SIGKILL');
    for (const child of relays)
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    // at once: left to the namespace's end it would go a little later, in the way of the next cable
    if (isLaid) ip('link', 'delete', near);
    ip('netns', 'delete', name);
  };
  try {
    ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name);
    isLaid = true;
    ip('address', 'add', `${net}.1/24`, 'dev', near);
    ip('link', 'set', near, 'up');
    ip('-n', name, 'address', 'add', `${net}.2/24`, 'dev', far);
    ip('-n', name, 'link', 'set', far, 'up');
    const back = await freePort();
    relays.push(await startRelay([], `${net}.1`, back, ['127.0.0.1', target.port]));
    relays.push(
      await startRelay(['ip', 'netns', 'exec', name], `${net}.2`, PORT, [`${net}.1`, `${back}`]),
    );
  } catch (error) {
    await close();
    throw error;
  }
  const url = new URL(serverUrl);
  url.hostname = `${net}.2`;
  url.port = String(PORT);
  // the far end, so that the near one keeps its address and knows of nothing
  const set = (state: string) => ip('-n', name, 'link', 'set', far, state);
  return { url: url.href, pull: () => set('down'), plug: () => set('up'), close };
}

async function startRelay(
  within: readonly string[],
  host: string,
  port: number,
  [toHost, toPort]: readonly [string, string],
): Promise<ChildProcess> {
  const [program = '', ...args] = [...within, process.execPath, '-e', RELAY, host, `${port}`];
  const child = spawn(program, [...args, toHost, toPort], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

function ip(...args: readonly string[]): void {
  execFileSync(requireProgram('ip'), args, { stdio: 'pipe', timeout: 60_000 });
}
