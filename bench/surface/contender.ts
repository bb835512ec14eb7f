// The servers that are measured, each in a process of its own and compiled, as the product is: TypeScript that is compiled
// while it is loaded takes more memory, and every closure of it more again. (Peers with packages of their own stay where those
// are: their code is JavaScript anyway.)

import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const COMPILED = fileURLToPath(new URL('../../dist/bench', import.meta.url));
const FOLDERS = [
  'src',
  'schema',
  'jobs',
  'test/adapters',
  'test/schema',
  'test/support',
  'bench/surface',
];

/** A server that listens. */
export interface Contender {
  readonly url: string;
  /** Tokens of its users, one each. */
  readonly tokens: readonly string[];
  /** Asks it for something and returns the answer. */
  ask<Answer>(question: string | Wake): Promise<Answer>;
  close(): Promise<void>;
}

/** Asks a server to wake all who follow these topics. */
export interface Wake {
  readonly topics: readonly string[];
}

/** What a process takes, and has taken. */
export interface Use {
  readonly rssBytes: number;
  readonly processorMs: number;
}

/** What the process has used so far. */
export function useOf({ memoryUsage, cpuUsage }: NodeJS.Process): Use {
  const { user, system } = cpuUsage();
  return { rssBytes: memoryUsage.rss(), processorMs: (user + system) / 1000 };
}

/** In a contender: answers what the process that started it asks, and ends with it. */
export function answerParent(answer: (question: unknown) => unknown): void {
  // nobody asks any more
  process.on('disconnect', () => process.exit());
  process.on('message', async (question) => process.send?.(await answer(question)));
}

/** Starts the script with the options as JSON; it says where it listens. */
export async function startContender(script: URL, options: object = {}): Promise<Contender> {
  const child: ChildProcess = startScript(relative(ROOT, fileURLToPath(script)), options);
  const next = async () => {
    const over = new AbortController();
    const heard = once(child, 'message', over);
    const ended = once(child, 'exit', over).then(([code, signal]) => {
      throw new Error(`${script} has ended (${signal ?? code})`);
    });
    try {
      return (await Promise.race([heard, ended]))[0];
    } finally {
      // whichever did not happen is waited for no longer
      over.abort();
    }
  };
  const { url, tokens } = (await next()) as { url: string; tokens: string[] };
  return {
    url,
    tokens,
    ask: async (question) => {
      const answer = next();
      child.send(question);
      return await answer;
    },
    close: async () => {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

function startScript(path: string, options: object): ChildProcess {
  const args = [JSON.stringify(options)];
  if (!path.startsWith('bench/surface/'))
    return fork(join(ROOT, path), args, { execArgv: ['--import', 'tsx'] });
  execFileSync(process.execPath, [join(ROOT, 'scripts/build.mjs'), COMPILED, ...FOLDERS]);
  return fork(join(COMPILED, path.replace(/ts$/, 'js')), args, { execArgv: [] });
}
