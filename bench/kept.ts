// What a long bench found, kept in a folder: a bench that is begun again goes on where it was stopped.

import { readFile } from 'node:fs/promises';
import { deserialize, serialize } from 'node:v8';
import { writeFileAtomically } from '../src/lib/atomic-file.ts';
import { nullIfMissing } from '../src/lib/null-if-missing.ts';

/** The result of a computation, from its file or from the computation. */
export async function kept<T>(path: string, compute: () => Promise<T>): Promise<T> {
  const bytes = await readFile(path).catch(nullIfMissing);
  if (bytes !== null) return deserialize(bytes) as T;
  const result = await compute();
  await writeFileAtomically(path, serialize(result));
  return result;
}
