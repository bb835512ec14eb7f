// A server in a process of its own, on modes that a bench has changed.

import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ServerProcess, startServerProcess } from '../../demo/server.ts';

const MODES = fileURLToPath(new URL('../../modes', import.meta.url));

/** Lines of a mode's file, by the name that they begin with. */
export type ModeLines = Readonly<Record<string, string>>;

/** Copies the shipped modes to `dir` and writes there what a shipped one becomes with some of its lines changed. */
export async function writeModes(
  dir: string,
  changed: readonly { readonly from: string; readonly lines: ModeLines }[],
): Promise<void> {
  await mkdir(dir, { recursive: true });
  await cp(MODES, dir, { recursive: true });
  for (const { from, lines } of changed) {
    let text = await readFile(join(MODES, `${from}.yaml`), 'utf8');
    for (const [name, value] of Object.entries(lines))
      text = text.replace(new RegExp(`^${name}:.*$`, 'm'), `${name}: ${value}`);
    await writeFile(join(dir, `${lines.key ?? from}.yaml`), text);
  }
}

/** Starts the server in a folder: `data` and `modes` are in it. */
export function startBenchServer(
  folder: string,
  options: {
    readonly model: string;
    readonly modes: readonly string[];
    readonly onLog?: (line: string) => void;
    /** Where its spans go. */
    readonly traces?: string;
  },
): Promise<ServerProcess> {
  const { model, modes, onLog, traces } = options;
  const flags = ['--modes-dir', join(folder, 'modes'), '--modes', modes.join(',')];
  const level = ['--log-level', onLog === undefined ? 'warn' : 'info'];
  return startServerProcess({
    dataDir: join(folder, 'data'),
    flags: [...flags, '--model', model, ...level, ...(traces ? ['--traces', traces] : [])],
    ...(onLog && { onLog }),
  });
}
