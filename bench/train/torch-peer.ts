// A Python process that takes training steps with torch and PEFT when it is told to.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { must } from '../../src/lib/errors.ts';

const SCRIPT = fileURLToPath(new URL('./torch_peer.py', import.meta.url));

const PACKAGES = ['torch==2.13.0', 'transformers==5.23.0', 'peft==0.21.2'];

/** A peer that waits for its next step. */
export interface TorchPeer {
  /** Such as "2.13.0+cpu". */
  readonly version: string;
  /** Milliseconds of one step and the loss before it. */
  step(): Promise<{ readonly ms: number; readonly loss: number }>;
  stop(): Promise<void>;
}

/** Starts a peer; `python` has the packages. */
export async function startTorchPeer(options: {
  readonly python: string;
  readonly baseDir: string;
  readonly batchFile: string;
  readonly dtype: 'float32' | 'bfloat16';
  readonly threads: number;
}): Promise<TorchPeer> {
  const { python, baseDir, batchFile, dtype, threads } = options;
  const child = spawn(python, [SCRIPT, baseDir, batchFile, dtype, `${threads}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${python} ${SCRIPT} ended with code ${child.exitCode}`);
    return JSON.parse(value);
  };
  const { torch } = await next();
  return {
    version: torch,
    step: () => {
      child.stdin.write('step\n');
      return next();
    },
    stop: async () => {
      child.stdin.end();
      await exited;
    },
  };
}

/** A Python with torch and PEFT: the named one, or one of a virtual environment in `folder`, which pip fills. */
export async function findPython(named: string | undefined, folder: string): Promise<string> {
  if (named !== undefined) return named;
  const run = promisify(execFile);
  const python = join(folder, 'bin', 'python');
  const isThere = await access(python).then(
    () => true,
    () => false,
  );
  if (!isThere) await run('python3', ['-m', 'venv', folder]);
  const { stdout } = await run(python, ['-m', 'pip', 'list', '--format=freeze']);
  const missing = PACKAGES.filter((name) => !stdout.includes(must(name.split('==')[0], 'a name')));
  if (missing.length > 0) await run(python, ['-m', 'pip', 'install', '-q', ...missing]);
  return python;
}
