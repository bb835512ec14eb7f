// Where an adapter comes from: a file beside its config, for whoever holds the folder, and a column of its row.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lineage } from '../db/lineage.ts';
import { canonicalJson, type Json } from '../lib/canonical-json.ts';
import { nullIfMissing } from '../lib/null-if-missing.ts';
import { badFile } from '../model/bad-file.ts';

export type { Lineage } from '../db/lineage.ts';

/** The file's name; PEFT takes no notice of it. */
export const LINEAGE_FILE = 'attune.json';

/** Text of the file; equal lineages give equal text. */
export function encodeLineage(lineage: Lineage): string {
  return `${canonicalJson(lineage as unknown as Json)}\n`;
}

/** The lineage in an adapter's folder; null where there is none, as in one that PEFT wrote.
 *  Throws BAD_INPUT when the file is not JSON. */
export async function readLineage(dir: string): Promise<Lineage | null> {
  const path = join(dir, LINEAGE_FILE);
  const text = await readFile(path, 'utf8').catch(nullIfMissing);
  if (text === null) return null;
  try {
    return JSON.parse(text) as Lineage;
  } catch (error) {
    throw badFile(`${path} is not JSON`, error);
  }
}
