import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { must } from '../../../src/lib/errors.ts';

/** Made before the first test: servers.ts. */
const MAIN = fileURLToPath(new URL('../../../dist/server/src/main.js', import.meta.url));

/** PGlite's WebAssembly is not worth a second, optimising compilation in processes that live for seconds. */
export const BRIEF_LIFE = ['--liftoff-only'];

/** What any program needs of our environment: none of our settings. */
export function bareEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, HOME: process.env.HOME };
}

/** The program as a user runs it: its own process, its own output. */
export class AttuneProcess {
  stdout = '';
  stderr = '';
  readonly #child: ChildProcess;
  readonly #exit: Promise<number | null>;

  constructor(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    flagsOfNode: readonly string[] = BRIEF_LIFE,
  ) {
    this.#child = spawn(process.execPath, [...flagsOfNode, MAIN, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...bareEnvironment(), ...env },
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.#exit = once(this.#child, 'close').then(([code]) => code);
  }

  /** The process's id. */
  get pid(): number {
    return must(this.#child.pid, 'the process was started');
  }

  /** The exit code; null when a signal ended the process. */
  exit(): Promise<number | null> {
    return this.#exit;
  }

  /** Resolves with what the pattern found in the standard output; throws when the process ends without it. */
  async printed(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.stdout);
      if (found !== null) return found[1] ?? found[0];
      const ended = await Promise.race([
        once(this.#child.stdout ?? this.#child, 'data').then(() => false),
        this.#exit.then(() => true),
      ]);
      if (ended) throw new Error(`ended without printing ${pattern}: ${this.stdout}${this.stderr}`);
    }
  }

  /** Sends the signal, as Ctrl-C does with SIGINT. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The ids of the processes that this one has started and that still run. */
  async children(): Promise<readonly number[]> {
    const list = await readFile(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8').catch(
      () => '',
    );
    return list.split(' ').filter(Boolean).map(Number);
  }

  /** Those of them that answer or train: its engine and its trainers. */
  async workers(): Promise<readonly number[]> {
    const workers: number[] = [];
    for (const pid of await this.children()) {
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (/(engine|trainer)-process\.[jt]s/.test(command)) workers.push(pid);
    }
    return workers;
  }
}
