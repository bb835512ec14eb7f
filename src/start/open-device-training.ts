// What a server needs for devices that train: the files that they train with, and the way back for what they trained.

import { join } from 'node:path';
import type { Services } from '../../schema/context.ts';
import type { Config } from '../config.ts';
import type { StoredFile } from '../db/schema.ts';
import { Turns } from '../lib/turns.ts';
import { deviceTrainFiles } from '../model/train/device-train.ts';
import { recipeOf } from '../training/core/recipe.ts';
import { runProbe } from '../training/run-probe.ts';
import type { Parts } from './open-parts.ts';

/** The parts that devices which train use. */
export type DeviceTrainingParts = Pick<Services, 'workDir' | 'probe' | 'trainingFiles'>;

/** Opens the parts; makes the files that are missing. Closing ends measurements that are under way. */
export async function openDeviceTraining(
  config: Config,
  { base, catalog }: Parts,
): Promise<DeviceTrainingParts & { close(): Promise<void> }> {
  const trainingFiles = new Map<string, readonly StoredFile[]>();
  for (const mode of catalog.modes.filter(({ trainsOn }) => trainsOn !== 'server')) {
    const { lora, maxTokens } = recipeOf(mode, base.config);
    trainingFiles.set(mode.key, await deviceTrainFiles(base, { lora, maxTokens }));
  }
  // each holds a base in memory
  const turns = new Turns();
  const closing = new AbortController();
  return {
    workDir: join(config.dataDir, 'training'),
    probe: (job) => turns.take(() => runProbe(job, closing.signal)),
    trainingFiles,
    close: async () => {
      closing.abort(new Error('the server stops'));
      await turns.take(() => Promise.resolve());
    },
  };
}
