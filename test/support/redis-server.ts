import { requireProgram } from './programs.ts';
import {
  freePort,
  makeServerFolder,
  type RestartableServer,
  startServerProcess,
} from './server-process.ts';

/** Starts a Redis of the tests' own on a free port, with nothing kept on disk unless it is durable. */
export async function startRedis({ isDurable = false } = {}): Promise<RestartableServer> {
  const port = await freePort();
  const log = isDurable
    ? ['--appendonly', 'yes', '--appendfsync', 'always']
    : ['--appendonly', 'no'];
  const settings = ['--bind', '127.0.0.1', '--save', '', ...log];
  return startServerProcess({
    program: requireProgram('redis-server'),
    args: ['--port', String(port), ...settings],
    account: {},
    folder: await makeServerFolder({}),
    readyLine: 'Ready to accept connections',
    url: `redis://127.0.0.1:${port}`,
  });
}
