// The servers that are measured, each in a process of its own.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A server that listens. */
export interface Contender {
  readonly url: string;
  /** Tokens of its users, one each. */
  readonly tokens: readonly string[];
  /** Asks it for something and returns the answer. */
  ask<Answer>(question: string): Promise<Answer>;
  close(): Promise<void>;
}

/** Starts the script with the options as JSON; it says where it listens. */
export async function startContender(script: URL, options: object = {}): Promise<Contender> {
  const child: ChildProcess = fork(fileURLToPath(script), [JSON.stringify(options)], {
    execArgv: ['--import', 'tsx'],
  });
  const next = async () => {
    const heard = once(child, 'message');
    const ended = once(child, 'exit').then(([code, signal]) => {
      throw new Error(`${script} has ended (${signal ?? code})`);
    });
    return (await Promise.race([heard, ended]))[0];
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
