// Ends the run when a test file makes no progress for long. Vitest's own limits are timers in the file's process, which
// do not ring in one that never gives way: a loop without end, a native call that does not return.

import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Reporter, TestCase, TestModule } from 'vitest/node';
import WebSocket from 'ws';

/** Where a test file's process lets itself be inspected once it is sent SIGUSR1; one of them at a time. */
const INSPECTOR = '127.0.0.1:19229';
/** Flags of Node for the processes of test files. */
export const INSPECTED = [`--inspect-port=${INSPECTOR}`];

/** Several times what the slowest file takes on a busy machine. */
const LONGEST_SILENCE_MS = 12 * 60_000;
const LOOK_EVERY_MS = 30_000;
/** Time for a process to begin to listen, and to stop where it is. */
const PATIENCE_MS = 3_000;

export class StuckFiles implements Reporter {
  /** When each running file last began or ended a test, and which one it is at. */
  readonly #running = new Map<string, { at: number; test: string }>();
  /** What a file's last test gave may be heard after the file's end. */
  readonly #ended = new Set<string>();
  /** When anything was last heard. */
  #heardAt = Date.now();
  #timer: NodeJS.Timeout | undefined;

  onTestRunStart(): void {
    // a long form may be at one test for hours
    if (process.env.SOAK !== undefined) return;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  onTestModuleStart({ moduleId }: TestModule): void {
    this.#note(moduleId, 'no test yet');
  }

  onTestCaseReady({ module, fullName }: TestCase): void {
    this.#note(module.moduleId, fullName);
  }

  onTestCaseResult({ module, fullName }: TestCase): void {
    this.#note(module.moduleId, `after ${fullName}`);
  }

  onTestModuleEnd({ moduleId }: TestModule): void {
    this.#running.delete(moduleId);
    this.#ended.add(moduleId);
    this.#heardAt = Date.now();
  }

  onTestRunEnd(): void {
    clearInterval(this.#timer);
  }

  #note(moduleId: string, test: string): void {
    this.#heardAt = Date.now();
    if (!this.#ended.has(moduleId)) this.#running.set(moduleId, { at: this.#heardAt, test });
  }

  #look(): void {
    const isLong = (at: number) => Date.now() - at > LONGEST_SILENCE_MS;
    const stuck = [...this.#running].filter(([, { at }]) => isLong(at));
    if (stuck.length > 0) void this.#end(stuck);
    if (!isLong(this.#heardAt)) return;
    say('Every file has ended, and the run does not.');
    process.exit(1);
  }

  async #end(stuck: readonly (readonly [string, { test: string }])[]): Promise<void> {
    for (const [file, { test }] of stuck) {
      say(`No progress for long: ${file}, ${test}`);
      this.#running.delete(file);
    }
    this.#heardAt = Date.now();
    for (const pid of await workers()) {
      say(`Process ${pid}: ${await stackOf(pid).catch(String)}`);
      // Vitest fails the files of processes that end, and goes on to its end
      end(pid);
    }
  }
}

const say = (line: string) => process.stderr.write(`${line}\n`);

/** Kills a process, if it has not ended by itself. */
function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The processes of test files; none where there is no /proc. */
async function workers(): Promise<readonly number[]> {
  const names = await readdir('/proc').catch(() => []);
  const pids = names.map(Number).filter((pid) => pid > 0);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      return status.includes(`PPid:\t${process.pid}\n`) && command.includes(INSPECTOR);
    }),
  );
  return pids.filter((_, n) => found[n]);
}

/** Where a process is in its JavaScript, by the Chrome DevTools Protocol. */
async function stackOf(pid: number): Promise<string> {
  process.kill(pid, 'SIGUSR1');
  await sleep(PATIENCE_MS);
  const [target] = (await (await fetch(`http://${INSPECTOR}/json/list`)).json()) as [Target];
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  const paused = new Promise<string>((resolve, reject) => {
    socket.once('error', reject);
    socket.on('message', (text) => {
      const { method, params } = JSON.parse(`${text}`) as Message;
      if (method === 'Debugger.paused') resolve(params.callFrames.map(frameText).join('\n'));
    });
  });
  socket.once('open', () => {
    for (const [id, method] of ['Debugger.enable', 'Debugger.pause'].entries())
      socket.send(JSON.stringify({ id, method }));
  });
  const idle = sleep(PATIENCE_MS, 'it waits, or is in native code');
  return Promise.race([paused, idle]).finally(() => socket.terminate());
}

interface Target {
  readonly webSocketDebuggerUrl: string;
}

interface Frame {
  readonly functionName: string;
  readonly url: string;
  readonly location: { readonly lineNumber: number };
}

interface Message {
  readonly method?: string;
  readonly params: { readonly callFrames: readonly Frame[] };
}

const frameText = ({ functionName, url, location }: Frame): string =>
  `  ${functionName || 'a function'} (${url || 'line'}:${location.lineNumber + 1})`;
