// Writes persisted-query-manifest.json from operations/: run it with Node after changing one of them.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const at = (path) => new URL(path, import.meta.url);
const operations = readdirSync(at('operations'))
  .sort()
  .map((file) => {
    const body = readFileSync(at(`operations/${file}`), 'utf8').trim();
    const [type, name] = body.split(/\W+/);
    return { id: createHash('sha256').update(body).digest('hex'), name, type, body };
  });
const manifest = { format: 'apollo-persisted-query-manifest', version: 1, operations };
writeFileSync(at('persisted-query-manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
