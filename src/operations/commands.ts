// What operators ask of an open deployment, as lines to print. Whoever has the database runs them: the command's own process,
// or the server that holds the built-in one.

import type { AdapterStore } from '../adapters/store.ts';
import type { Db } from '../db/database.ts';
import type { Clock } from '../lib/clock.ts';
import { must } from '../lib/errors.ts';
import { StartError } from '../lib/start-error.ts';
import { listRuns, listUsers, retryFailedRuns } from '../runs/run-reports.ts';
import { backUp, type Copied } from './backup.ts';
import type { ControlCommand } from './control.ts';

/** An open deployment. */
export interface OpenDeployment {
  readonly db: Db;
  readonly clock: Clock;
  /** Lends the adapters. */
  withStore(use: (store: AdapterStore) => Promise<string>): Promise<string>;
}

type Run = (deployment: OpenDeployment, command: ControlCommand) => Promise<string>;

const COMMANDS = {
  jobs: async ({ db }) => {
    const runs = await listRuns(db, ['QUEUED', 'RUNNING', 'FAILED']);
    return linesOf(
      runs.map(({ id, userId, mode, status, attempt, queuedAt }) => [
        ...[id, userId, mode, status, `attempt ${attempt}`, queuedAt.toISOString()],
      ]),
    );
  },
  retry: async ({ db, clock }) => {
    const count = await retryFailedRuns(db, new Date(clock.now()));
    return `${count} queued again\n`;
  },
  users: async ({ db }) => {
    const users = await listUsers(db);
    return linesOf(
      users.map(({ subject, devices, records, liveAdapters }) => [
        ...[subject, `${devices} devices`, `${records} records`, `${liveAdapters} adapters`],
      ]),
    );
  },
  backup: ({ db, withStore }, { folder }) =>
    withStore(async (store) =>
      copiedLine(await backUp({ db, store }, must(folder, 'a backup has a folder'))),
    ),
} as const satisfies Readonly<Record<string, Run>>;

/** The commands that a server can run for somebody else. */
export type CommandName = keyof typeof COMMANDS;

/** Runs a command. Throws on one that there is not. */
export function runCommand(deployment: OpenDeployment, command: ControlCommand): Promise<string> {
  const known: Readonly<Record<string, Run>> = COMMANDS;
  const run = Object.hasOwn(known, command.name) ? known[command.name] : undefined;
  if (run === undefined)
    throw new StartError(`The server knows no command ${command.name}: it has another version.`);
  return run(deployment, command);
}

/** What a copy of a deployment came to. */
export function copiedLine({ rows, adapters, erased, damaged }: Copied): string {
  const gone = erased > 0 ? [`${erased} users were erased since the backup, and are again\n`] : [];
  const left = damaged.map((sha256) => `left out, since it is damaged: adapter ${sha256}\n`);
  return [`${rows} rows, ${adapters} adapters\n`, ...gone, ...left].join('');
}

/** Rows as lines of columns. */
export function linesOf(rows: readonly (readonly string[])[]): string {
  return rows.map((row) => `${row.join('  ')}\n`).join('');
}
