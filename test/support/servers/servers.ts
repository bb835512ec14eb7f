// Vitest's global set-up: the program as users start it, compiled before the first test; PostgreSQL, Redis and a ready-made
// PGlite folder, each started by the first test file that asks and shared by all. Test files ask over HTTP because they run in processes of their own.

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import { openDatabase } from '../../../src/db/database.ts';
import { newDatabaseOn, startPostgres } from './postgres-server.ts';
import { startRedis } from './redis-server.ts';
import type { ServerProcess } from './server-process.ts';

const BUILD = fileURLToPath(new URL('../../../scripts/build.mjs', import.meta.url));

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where test files ask for servers. */
    serversUrl: string;
  }
}

/** Starts what test files ask for; returns what stops it all. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  await promisify(execFile)(process.execPath, [BUILD], { timeout: 180_000 });
  const shared = new Map<string, Promise<ServerProcess>>();
  const once = (name: string, start: () => Promise<ServerProcess>) => {
    const server = shared.get(name) ?? start();
    shared.set(name, server);
    return server;
  };
  let redisDatabases = 0;
  /** Each path answers with the URL or folder of something that is ready. */
  const answers: Record<string, () => Promise<string>> = {
    '/postgres': async () => newDatabaseOn((await once('postgres', () => startPostgres())).url),
    '/redis': async () => {
      const { url } = await once('redis', () => startRedis());
      redisDatabases += 1;
      return `${url}/${redisDatabases}`;
    },
    '/pglite': async () => (await once('pglite', makePgliteFolder)).url,
  };
  const server = createServer((request, response) => {
    // a kept connection may be closed by us in the moment in which a test file asks again
    response.setHeader('connection', 'close');
    const answer =
      answers[request.url ?? ''] ?? (() => Promise.reject(new Error('no such server')));
    answer().then(
      (text) => response.end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  project.provide('serversUrl', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return async () => {
    server.closeAllConnections();
    server.close();
    for (const started of await Promise.allSettled(shared.values())) {
      if (started.status === 'fulfilled') await started.value.stop();
    }
  };
}

/** A migrated data folder to copy: a copy opens in a quarter of the time that a new folder takes. */
async function makePgliteFolder(): Promise<ServerProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'attune-pglite-'));
  const database = await openDatabase({ dataDir: folder });
  await database.close();
  return { url: folder, stop: () => rm(folder, { recursive: true, force: true }) };
}
