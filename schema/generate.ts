// `npm run schema`: writes the generated files, which are committed. It takes away nothing that the committed schema
// promises, unless it is told to: `npm run schema -- --breaking`.

import { readFile, writeFile } from 'node:fs/promises';
import { generateArtifacts } from './artifacts.ts';
import { breakingChanges } from './breaking-changes.ts';
import { buildSchema } from './schema.ts';

const committed = await readFile(new URL('schema.graphql', import.meta.url), 'utf8');
const breaking = breakingChanges(committed, buildSchema());

if (breaking.length > 0 && !process.argv.includes('--breaking')) {
  const remedy =
    'Deprecate it first (docs/clients/README.md), or run: npm run schema -- --breaking';
  process.stderr.write(`Apps in use would break:\n${breaking.join('\n')}\n${remedy}\n`);
  process.exitCode = 1;
} else {
  for (const [path, content] of await generateArtifacts()) await writeFile(path, content);
}
