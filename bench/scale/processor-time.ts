// Processor time of processes that run, as Linux counts it.

import { readdir, readFile } from 'node:fs/promises';

/** Linux's USER_HZ, which is 100 on all that we run on. */
const TICK_MS = 10;

/** Milliseconds of processor time that a process has used, in its own code and in the system's. */
export async function processorMs(pid: number): Promise<number> {
  const { ownTicks } = await statOf(pid);
  return ownTicks * TICK_MS;
}

/** The same of a process and its children, those that have ended too. */
export async function familyProcessorMs(pid: number): Promise<number> {
  const { ownTicks, endedTicks } = await statOf(pid);
  const entries = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(entries.map((name) => statOf(Number(name)).catch(() => null)));
  const children = stats.filter((stat) => stat?.parent === pid);
  const ticks = children.reduce((sum, stat) => sum + (stat?.ownTicks ?? 0), ownTicks + endedTicks);
  return ticks * TICK_MS;
}

/** proc(5): the fields after the program's name, which may hold anything but comes in brackets. */
async function statOf(pid: number) {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const at = (field: number) => Number(fields[field - 3]);
  return { parent: at(4), ownTicks: at(14) + at(15), endedTicks: at(16) + at(17) };
}
