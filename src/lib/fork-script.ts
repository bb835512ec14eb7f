// Child processes that run a file of this project, the way every native piece of work is kept out of the server.

import { type ChildProcess, fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { setPriority } from 'node:os';
import { pathToFileURL } from 'node:url';

/** What a script needs that was not compiled; by its path, so that the child finds it from any working directory. */
const loaderOf = (script: URL) =>
  /\.m?ts$/.test(script.pathname)
    ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href]
    : [];

// How much of what a child writes to stderr is kept for the error message when it dies.
const KEPT_STDERR_CHARS = 4000;

/** A running child, and the end of what it has written to stderr. */
export interface Forked {
  readonly child: ChildProcess;
  readonly stderr: () => string;
}

// glibc gives freed memory back to the system at once, and takes large pieces from it anew each time. What a training step frees
// the next one needs: up to half a gigabyte is kept, and pieces up to glibc's own limit come from there.
const KEEPS_MEMORY = {
  MALLOC_TRIM_THRESHOLD_: String(512 * 2 ** 20),
  MALLOC_MMAP_THRESHOLD_: String(32 * 2 ** 20),
};

/** How a script is forked. */
export interface ForkOptions {
  /** How readily it yields the processor to others, 0 to 19. */
  readonly niceness?: number;
  /** It frees and takes hundreds of megabytes all the time. */
  readonly keepsMemory?: boolean;
}

/** Forks a script with an IPC channel that carries typed arrays and every number. Its stdout is discarded. */
export function forkScript(script: URL, options: ForkOptions = {}): Forked {
  const child = fork(script, [], {
    execArgv: loaderOf(script),
    serialization: 'advanced',
    // biome-ignore lint/style/noProcessEnv: a child is given what this process was, and nothing is read here
    env: { ...process.env, ...(options.keepsMemory && KEEPS_MEMORY) },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let kept = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    kept = (kept + text).slice(-KEPT_STDERR_CHARS);
  });
  if (child.pid !== undefined && options.niceness !== undefined)
    setPriority(child.pid, options.niceness);
  return { child, stderr: () => kept };
}
