// `npm run schema`: writes the generated files, which are committed.

import { writeFile } from 'node:fs/promises';
import { generateArtifacts } from './artifacts.ts';

for (const [path, content] of await generateArtifacts()) await writeFile(path, content);
