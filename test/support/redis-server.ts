import { requireProgram } from './programs.ts';
import {
  freePort,
  makeServerFolder,
  type ServerProcess,
  startServerProcess,
} from './server-process.ts';

/** Starts a Redis of the tests' own on a free port, with nothing kept on disk. */
export async function startRedis(): Promise<ServerProcess> {
  const port = await freePort();
  const settings = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  return startServerProcess({
    program: requireProgram('redis-server'),
    args: ['--port', String(port), ...settings],
    account: {},
    folder: await makeServerFolder({}),
    readyLine: 'Ready to accept connections',
    url: `redis://127.0.0.1:${port}`,
  });
}
