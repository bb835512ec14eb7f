// `npm run demo:phones`: a server with an empty data folder, and a page with two phones of its user.

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServerProcess } from '../server.ts';
import { say } from '../show.ts';
import { writePhoneModes } from './phone-modes.ts';
import { startPhonesSite } from './site-files.ts';

/** Where the page is, unless the port is taken. */
const PORT = 4010;

const dataDir = await mkdtemp(join(tmpdir(), 'attune-phones-'));
const modesDir = join(dataDir, 'modes');
const modes = await writePhoneModes(modesDir);
const flags = ['--modes-dir', modesDir, '--modes', modes.join(), '--log-level', 'warn'];
say('Starting a server with an empty data folder ...');
const server = await startServerProcess({
  dataDir: join(dataDir, 'data'),
  flags: [...flags, ...process.argv.slice(2)],
});
try {
  const site = await startPhonesSite(server.account, PORT);
  say(`Two phones: ${site.url}/phone   (Ctrl-C ends)`);
  await once(process, 'SIGINT');
  await site.close();
} finally {
  await server.close();
  await rm(dataDir, { recursive: true, force: true });
}
