// The whole server on the tiny base, in this process, with users that have adapters: what tests of devices talk to.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { seedUsers } from '../../../bench/seed-users.ts';
import { issueToken } from '../../../src/auth/tokens.ts';
import { readConfig } from '../../../src/config.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { installBase } from '../../../src/model/base/base-install.ts';
import { type App, startApp } from '../../../src/start/app.ts';
import { writeDeviceModes } from '../devices/device-modes.ts';
import { copyDatabase } from '../servers/databases.ts';

/** A server, and what its devices need. */
export interface TinyApp {
  readonly app: App;
  readonly folder: string;
  token(user: string): Promise<string>;
  close(): Promise<void>;
}

/** Starting a whole server takes a few seconds, and much longer on a machine that does much else. */
export const START_MS = 240_000;

/** Starts the server; each of the users has a live adapter in the mode `subject`. `given`: who trains
 *  that mode, when not the server alone, or what writes other modes into a folder and names them. */
export async function startTinyApp(
  users: readonly string[],
  given?: 'device' | 'both' | ((modesDir: string) => Promise<readonly string[]>),
): Promise<TinyApp> {
  const folder = await mkdtemp(join(tmpdir(), 'attune-tiny-'));
  const folders = { dataDir: join(folder, 'data'), cacheDir: join(folder, 'cache') };
  const modesDir = join(folder, 'modes');
  const write = typeof given === 'string' ? () => writeDeviceModes(modesDir, given) : given;
  const modes = write === undefined ? {} : { modesDir, modes: (await write(modesDir)).join(',') };
  const config = readConfig({ ...folders, ...modes, model: 'tiny', port: '0' }, {});
  const base = await installBase({ model: 'tiny', cacheDir: folders.cacheDir });
  await copyDatabase(config.dataDir);
  await seedUsers(config.dataDir, base, { mode: 'subject', users });
  const app = await startApp(config, {
    logger: pino({ level: 'silent' }),
    trains: true,
    signal: new AbortController().signal,
  });
  return {
    app,
    folder,
    token: (user) => issueToken(config.dataDir, user, systemClock),
    close: async () => {
      await app.close();
      await rm(folder, { recursive: true });
    },
  };
}
