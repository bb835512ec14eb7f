// Starts the servers and trainers of compose.yaml as plain processes, for machines without containers: the same commands
// and settings, with DATABASE_URL and REDIS_URL (and whatever else is set) from the environment.
// Use: DATABASE_URL=... REDIS_URL=... node docker/start-processes.mjs FOLDER [FLAGS]
// Everything that containers would keep in volumes goes into FOLDER; the flags go to every process.

import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parse } from 'yaml';

const [folderName, ...flags] = process.argv.slice(2);
if (folderName === undefined) throw new Error('name a folder for adapters, keys and models');
const folder = resolve(folderName);
const { services } = parse(readFileSync(new URL('compose.yaml', import.meta.url), 'utf8'), {
  merge: true,
});
/** As the Dockerfile has it, where `npm run build` puts it. */
const entrypoint = ['dist/server/src/main.js'];

const children = Object.entries(services)
  .filter(([, { image }]) => image === 'attune')
  .flatMap(([name, service]) =>
    Array.from({ length: service.deploy?.replicas ?? 1 }, (_, i) =>
      start(`${name}-${i + 1}`, service),
    ),
  );
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    for (const child of children) child.kill('SIGTERM');
  });
}

function start(name, { command, environment }) {
  const data = join(folder, name);
  mkdirSync(data, { recursive: true });
  return spawn(process.execPath, [...entrypoint, ...command, ...flags], {
    cwd: resolve(import.meta.dirname, '..'),
    stdio: 'inherit',
    env: { ATTUNE_CACHE: join(folder, 'cache'), ...localised(environment, data), ...process.env },
  });
}

/** Settings with the containers' folders replaced by those of this process. */
function localised(environment, data) {
  const places = {
    ATTUNE_DATA: data,
    BLOB_URL: pathToFileURL(join(folder, 'shared')).href,
    ATTUNE_KEYS: join(folder, 'keys'),
    // containers have each a port of the same number; here any free one will do
    ATTUNE_HEALTH_PORT: 0,
  };
  return Object.fromEntries(
    Object.entries({ ATTUNE_DATA: data, ...environment }).map(([name, value]) => [
      name,
      String(places[name] ?? value),
    ]),
  );
}
