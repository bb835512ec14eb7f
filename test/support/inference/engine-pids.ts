import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The children of this process that run an engine. */
export async function enginePids(): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,args=']);
  return stdout
    .split('\n')
    .filter((line) => /engine-process\.[jt]s/.test(line))
    .map((line) => line.trim().split(/ +/, 2).map(Number))
    .filter(([, parent]) => parent === process.pid)
    .map(([pid]) => pid ?? Number.NaN);
}
