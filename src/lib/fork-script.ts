// Child processes that run a file of this project, the way every native piece of work is kept out of the server.

import { type ChildProcess, fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { setPriority } from 'node:os';
import { pathToFileURL } from 'node:url';

/** What a script needs that was not compiled; by its path, so that the child finds it from any working directory. */
const loaderOf = (script: URL) =>
  script.pathname.endsWith('.ts')
    ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href]
    : [];

// How much of what a child writes to stderr is kept for the error message when it dies.
const KEPT_STDERR_CHARS = 4000;

/** A running child, and the end of what it has written to stderr. */
export interface Forked {
  readonly child: ChildProcess;
  readonly stderr: () => string;
}

/** Forks a script with an IPC channel that carries typed arrays and every number. Its stdout is discarded.
 *  `niceness` (0 to 19) is how readily it yields the processor to others. */
export function forkScript(script: URL, options: { niceness?: number } = {}): Forked {
  const child = fork(script, [], {
    execArgv: loaderOf(script),
    serialization: 'advanced',
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
