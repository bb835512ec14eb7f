import { requireProgram } from './programs.ts';
import {
  freePort,
  makeServerFolder,
  type RestartableServer,
  startServerProcess,
} from './server-process.ts';

/** More than test files ask for, one each time. */
const DATABASES = '10000';

/** Starts a Redis of the tests' own on a free port, with nothing kept on disk unless it is durable; `keptIn` is the folder
 *  that it then keeps every write in, else one of its own. */
export async function startRedis({
  isDurable = false,
  keptIn,
}: {
  isDurable?: boolean;
  keptIn?: string;
} = {}): Promise<RestartableServer> {
  const port = await freePort();
  const log = isDurable
    ? ['--appendonly', 'yes', '--appendfsync', 'always']
    : ['--appendonly', 'no'];
  const place = keptIn === undefined ? [] : ['--dir', keptIn];
  const settings = [
    '--bind',
    '127.0.0.1',
    '--databases',
    DATABASES,
    '--save',
    '',
    ...log,
    ...place,
  ];
  return startServerProcess({
    program: requireProgram('redis-server'),
    args: ['--port', String(port), ...settings],
    account: {},
    folder: await makeServerFolder({}),
    readyLine: 'Ready to accept connections',
    url: `redis://127.0.0.1:${port}`,
  });
}
