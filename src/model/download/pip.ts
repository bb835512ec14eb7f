// Asks the user's own pip where a wheel is, so that the download goes through whatever index, mirror or proxy is set up.

import { type ChildProcess, spawn } from 'node:child_process';
import { buffer } from 'node:stream/consumers';
import { AppError } from '../../lib/errors.ts';

/** A way to start pip: the program and its first arguments. */
export type PipCommand = readonly [program: string, ...args: string[]];

/** The usual names of pip, in the order in which they are tried. */
export const PIP_COMMANDS: readonly PipCommand[] = [
  ['python3', '-m', 'pip'],
  ['python', '-m', 'pip'],
  ['pip3'],
  ['pip'],
];

/** Where a wheel is and what it must be. */
export interface WheelLocation {
  /** http:, https: or file: */
  readonly url: string;
  readonly sha256: string | null;
}

/** What running pip takes. */
export interface PipOptions {
  readonly commands: readonly PipCommand[];
  readonly signal?: AbortSignal | undefined;
}

/** Without a network pip tries five more times by default, which is a minute of silence before anybody is told. */
const QUIET = ['--quiet', '--no-input', '--disable-pip-version-check', '--retries', '1'];
const ONE_WHEEL = ['--no-deps', '--only-binary', ':all:', '--ignore-requires-python'];

/** The address that pip would download the requirement from, without downloading it; null where this pip cannot tell
 *  (before 22.2, or an index with a password, which pip does not print). Throws UNAVAILABLE when there is no pip. */
export async function locateWheel(
  requirement: string,
  options: PipOptions,
): Promise<WheelLocation | null> {
  const dryRun = ['--dry-run', '--ignore-installed', '--report', '-'];
  const result = await runPip(['install', ...QUIET, ...dryRun, ...ONE_WHEEL, requirement], options);
  return result.exitCode === 0 ? parseReport(result.stdout) : null;
}

/** Lets pip download the requirement into the folder. Throws UNAVAILABLE with pip's own last words. */
export async function downloadWheel(
  requirement: string,
  folder: string,
  options: PipOptions,
): Promise<void> {
  const args = ['download', ...QUIET, ...ONE_WHEEL, '--dest', folder, requirement];
  const { exitCode, stderr } = await runPip(args, options);
  if (exitCode === 0) return;
  const lastWords =
    stderr.split('\n').findLast((line) => line.startsWith('ERROR')) ?? stderr.trim();
  const message = `pip cannot download ${requirement} (is there a network?): ${lastWords}`;
  throw new AppError('UNAVAILABLE', message, { cause: new Error(stderr) });
}

function parseReport(report: string): WheelLocation | null {
  const parsed = JSON.parse(report) as {
    install?: {
      download_info?: { url?: string; archive_info?: { hashes?: { sha256?: string } } };
    }[];
  };
  const download = parsed.install?.[0]?.download_info;
  if (download?.url === undefined || download.url.includes('****')) return null;
  return { url: download.url, sha256: download.archive_info?.hashes?.sha256 ?? null };
}

interface PipResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function runPip(
  args: readonly string[],
  { commands, signal }: PipOptions,
): Promise<PipResult> {
  for (const [program, ...first] of commands) {
    const result = await run(program, [...first, ...args], signal);
    if (result !== null && !result.stderr.includes('No module named pip')) return result;
  }
  const tried = commands.map((command) => command.join(' ')).join(', ');
  throw new AppError('UNAVAILABLE', `no pip found (tried ${tried}): install Python 3 with pip`);
}

/** Null when there is no such program. */
async function run(
  program: string,
  args: readonly string[],
  signal: AbortSignal | undefined,
): Promise<PipResult | null> {
  signal?.throwIfAborted();
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(signal && { signal }),
  });
  const output = Promise.all([buffer(child.stdout), buffer(child.stderr)]);
  const exitCode = await exitOf(child);
  signal?.throwIfAborted();
  if (exitCode === null) return null;
  const [stdout, stderr] = await output;
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' || error.name === 'AbortError' ? resolve(null) : reject(error),
    );
    child.once('close', (code) => resolve(code ?? 1));
  });
}
