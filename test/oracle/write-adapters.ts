// Writes the folders that gradients.py and preferences.py read:
//
//     npx tsx test/oracle/write-adapters.ts FOLDER CACHE
//
// FOLDER/{tiny,default}/{base,adapter,job.json}; CACHE is where bases are installed.

import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writePeftFolder } from '../../src/adapters/peft.ts';
import { must } from '../../src/lib/errors.ts';
import { installBase } from '../../src/model/base/base-install.ts';
import { LINEAGE } from '../adapters/fixture.ts';
import {
  ORACLE_EXAMPLES,
  ORACLE_MISMATCHED,
  ORACLE_PAIRS,
  ORACLE_THUMBS,
  oracleAdapter,
} from '../support/faults/oracle-job.ts';

const folder = must(process.argv[2], 'the first argument is a folder');
const cacheDir = must(process.argv[3], 'the second argument is the folder of installed bases');

for (const model of ['tiny', 'default'] as const) {
  const base = await installBase({ model, cacheDir });
  const dir = join(folder, model);
  await mkdir(dir, { recursive: true });
  await symlink(base.dir, join(dir, 'base'));
  // with our own file beside PEFT's, as every adapter that a run made has
  await writePeftFolder(join(dir, 'adapter'), oracleAdapter(base, model), base, LINEAGE);
  const thumbs = ORACLE_THUMBS.map((thumb) => ({
    ...thumb,
    mismatched: must(ORACLE_MISMATCHED.get(thumb), 'there are several'),
  }));
  const job = { base: base.sha256, examples: ORACLE_EXAMPLES, pairs: ORACLE_PAIRS, thumbs };
  await writeFile(join(dir, 'job.json'), JSON.stringify(job));
}
