// Measures an adapter in a process of its own: native code that crashes takes no server with it.

import { once } from 'node:events';
import { forkScript } from '../lib/fork-script.ts';
import type { ProbeMeasure } from './core/gate.ts';
import type { ProbeJob } from './probe-adapter.ts';
import type { ProbeReport } from './probe-process.ts';

const PROBE = new URL('./probe-process.ts', import.meta.url);
/** How readily it yields the processor: answers come first. */
const NICENESS = 10;

/** Measures the adapter on the general probe. Throws the signal's reason after an abort, and otherwise an Error that says
 *  how the process ended. */
export async function runProbe(job: ProbeJob, signal: AbortSignal): Promise<ProbeMeasure> {
  signal.throwIfAborted();
  const { child, stderr } = forkScript(PROBE, { niceness: NICENESS });
  const kill = () => child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  let report: ProbeReport | undefined;
  child.once('message', (message: ProbeReport) => {
    report = message;
  });
  try {
    // both: the message may be read after the exit is seen
    const ended = Promise.all([once(child, 'exit'), once(child, 'disconnect')]);
    // a channel that is broken already is told by the exit, with more to say
    child.send(job, () => undefined);
    const [[code, killedBy]] = await ended;
    signal.throwIfAborted();
    if (report !== undefined) return report.measure;
    const how = `code ${code}, signal ${killedBy}: ${stderr().trim() || 'no output'}`;
    throw new Error(`the adapter was not measured (${how})`);
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
  }
}
