// What both sides of the comparison are asked, each in a process of its own.

import { once } from 'node:events';
import type { AdapterFolder } from '../../src/inference/engine-protocol.ts';
import { forkScript } from '../../src/lib/fork-script.ts';

/** One user: a prompt, and an adapter folder in which there is also the adapter's GGUF form. */
export interface BenchRow {
  readonly promptIds: readonly number[];
  readonly adapter: AdapterFolder | null;
}

/** The name of the GGUF form of an adapter in its folder. */
export const ADAPTER_GGUF = 'adapter.gguf';

/** What a contender is asked, one thing at a time. The answer is numbers. */
export type ContenderCommand =
  /** Opens a base; answered by nothing. */
  | { readonly kind: 'open'; readonly model: string; readonly threads: number }
  /** All rows at once, greedy, whatever the tokens are; answered by tokens a second while all of them decode. */
  | { readonly kind: 'decode'; readonly rows: readonly BenchRow[]; readonly tokens: number }
  /** Answered by the milliseconds until the first token, with nothing of the prompt in a cache. */
  | { readonly kind: 'prefill'; readonly row: BenchRow }
  /** Ours only: so many clients answer the rows in order, each the next one as soon as it is free. Answered by the
   *  seconds it took and then the milliseconds of each answer. */
  | {
      readonly kind: 'serve';
      readonly rows: readonly BenchRow[];
      readonly clients: number;
      readonly tokens: number;
    }
  /** Ours only: adapters from their files into a slot; answered by the milliseconds of each. */
  | { readonly kind: 'slots'; readonly adapters: readonly AdapterFolder[] };

type Reply = { readonly values: readonly number[] } | { readonly error: string };

/** One side, ready to be measured. */
export interface Contender {
  ask(command: ContenderCommand): Promise<readonly number[]>;
  close(): Promise<void>;
}

/** Starts a side's process and opens the base in it. Throws with the reason when it cannot. */
export async function startContender(
  script: URL,
  model: string,
  threads: number,
): Promise<Contender> {
  const { child, stderr } = forkScript(script);
  const exited = once(child, 'exit');
  const ask = async (command: ContenderCommand) => {
    child.send(command);
    const died = exited.then(() => Promise.reject(new Error(`${script.pathname}: ${stderr()}`)));
    const [reply] = (await Promise.race([once(child, 'message'), died])) as [Reply];
    if ('error' in reply) throw new Error(reply.error);
    return reply.values;
  };
  await ask({ kind: 'open', model, threads });
  return {
    ask,
    async close() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** The child's end: answers commands until its parent is gone. */
export function serveContender(
  answer: (command: ContenderCommand) => Promise<readonly number[]>,
): void {
  process.once('disconnect', () => process.exit());
  process.on('message', (command: ContenderCommand) => {
    answer(command).then(
      (values) => process.send?.({ values } satisfies Reply),
      (error: Error) => process.send?.({ error: error.stack ?? error.message } satisfies Reply),
    );
  });
}
