import { resolve } from 'node:path';
import type { Db } from '../db/database.ts';
import { recordFact } from '../db/facts.ts';
import { StartError } from '../lib/start-error.ts';
import type { InstalledModel } from './install-model.ts';

/** Records the base that this data was made with, at the first start; adapters are valid for one base only, so from then
 *  on another one is refused. Throws StartError naming both and the remedy. */
export async function keepBase(db: Db, dataDir: string, installed: InstalledModel): Promise<void> {
  const { base, model } = installed;
  const made = JSON.parse(
    await recordFact(db, 'base', JSON.stringify({ sha256: base.sha256, name: base.name, model })),
  );
  if (made.sha256 === base.sha256) return;
  throw new StartError(
    `The data in ${resolve(dataDir)} was made with the base model ${made.name} (${made.sha256.slice(0, 12)}), ` +
      `but this start has ${base.name} (${base.sha256.slice(0, 12)}), and its adapters fit no other. ` +
      `Start with --model ${made.model}, or use another folder with --data.`,
  );
}
