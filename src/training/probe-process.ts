// Entry of a process that measures one adapter on the general probe, says what it found, and ends.

import type { ProbeMeasure } from './core/gate.ts';
import { type ProbeJob, probeAdapter } from './probe-adapter.ts';

/** The only word of the process: an error it writes to stderr. */
export interface ProbeReport {
  readonly measure: ProbeMeasure;
}

process.on('SIGINT', () => undefined);
process.once('disconnect', () => process.exit());
process.once('message', async (job: ProbeJob) => {
  const report: ProbeReport = { measure: await probeAdapter(job) };
  process.send?.(report, () => process.exit());
});
