import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { projectFile } from '../../../src/lib/project-file.ts';

const MODES = projectFile('modes');

/** Copies the shipped modes to `dir` so that `subject` is trained there, to write alone, with small adapters that learn fast. Of a mode that only
 *  devices train, nobody else may have the mails: then it is the only one. Returns which modes to serve. */
export async function writeDeviceModes(
  dir: string,
  where: 'device' | 'both',
): Promise<readonly string[]> {
  await cp(MODES, dir, { recursive: true });
  const path = join(dir, 'subject.yaml');
  const text = await readFile(path, 'utf8');
  const training = `training: { learningRate: 0.004, epochs: 3, batchSize: 4, maxTokens: 160, where: ${where} }`;
  const lora = 'lora: { rank: 8, alpha: 16, targets: all, topLayers: 2 }';
  const changed = text
    .replace(/^objective:.*$/m, 'objective: SFT')
    .replace(/^training:.*$/m, training)
    .replace(/^lora:.*$/m, lora);
  await writeFile(path, changed);
  return where === 'device' ? ['subject'] : ['subject', 'continue'];
}
