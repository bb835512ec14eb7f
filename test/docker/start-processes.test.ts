// The deployment of compose.yaml as processes: the image's health check finds the server well, and a stop ends them all.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bareEnvironment } from '../support/servers/attune-process.ts';
import { newPostgresUrl, redisUrl } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';
import { freePort } from '../support/servers/server-process.ts';

const DOCKER = fileURLToPath(new URL('../../docker', import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-processes-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe.skipIf(!shouldRunWith('postgres') || !shouldRunWith('redis-server'))(
  'npm run start:processes',
  () => {
    it('starts what compose.yaml says, healthy by the image’s own check', async () => {
      const port = String(await freePort());
      const env = {
        ...bareEnvironment(),
        ...{ PORT: port, ATTUNE_THREADS: '1' },
        ...{ DATABASE_URL: await newPostgresUrl(), REDIS_URL: await redisUrl() },
      };
      const flags = ['--model', 'tiny', '--modes', 'subject', '--log-level', 'error'];
      const deployment = spawn(process.execPath, ['start-processes.mjs', folder, ...flags], {
        ...{ cwd: DOCKER, env },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exited = once(deployment, 'exit');
      let output = '';
      deployment.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
      try {
        await expect
          .poll(() => output.match(/running at|is training/g)?.sort(), { timeout: 200_000 })
          .toEqual(['is training', 'is training', 'running at']);
        await promisify(execFile)(process.execPath, healthCheck(), { env });
      } finally {
        deployment.kill('SIGTERM');
        await exited;
      }
    }, 240_000);
  },
);

/** The arguments of `node` in the image's health check. */
function healthCheck(): string[] {
  const line = readFileSync(join(DOCKER, 'Dockerfile'), 'utf8').match(
    /^\s+CMD (\["node", "-e".*)$/m,
  );
  return (JSON.parse(line?.[1] ?? '[]') as string[]).slice(1);
}
