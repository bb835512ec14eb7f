// Users with live adapters of their own, put into a data folder while no server holds it: what a bench of answering
// needs, without the hours of training. The matrices are random; speed does not depend on their values.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeLive } from '../src/adapters/make-live.ts';
import { writePeftFolder } from '../src/adapters/peft.ts';
import { openAdapterStore } from '../src/adapters/store.ts';
import { ensureUser } from '../src/changes/users.ts';
import { openDatabase } from '../src/db/database.ts';
import { lockUser } from '../src/db/user-row.ts';
import type { AdapterFolder } from '../src/inference/engine-protocol.ts';
import type { Base } from '../src/model/base/base-package.ts';
import {
  LORA_MODULES,
  type LoraAdapter,
  type LoraShape,
  loraSize,
  unflattenLora,
} from '../src/model/lora/lora.ts';
import { folderVault } from '../src/sealing/vault.ts';

const SHAPE: LoraShape = { rank: 8, alpha: 16, modules: LORA_MODULES };

/** Small enough that answers stay sentences. */
const SPREAD = 0.002;

/** An adapter that a user is given. */
export interface SeededAdapter {
  /** The user, as tokens name them. */
  readonly subject: string;
  readonly mode: string;
  readonly adapter: LoraAdapter;
}

/** Gives each user a live adapter of the mode with bytes of its own: rank 8, all linears, all layers. Returns where the
 *  server keeps each user's. */
export function seedUsers(
  dataDir: string,
  base: Base,
  { mode, users }: { mode: string; users: readonly string[] },
): Promise<readonly AdapterFolder[]> {
  const adapters = users.map((subject, i) => ({
    ...{ subject, mode },
    adapter: randomAdapter(base, i + 1),
  }));
  return seedAdapters(dataDir, base, adapters);
}

/** Makes each adapter its user's live one in its mode. Returns where the server keeps each. */
export async function seedAdapters(
  dataDir: string,
  base: Base,
  adapters: readonly SeededAdapter[],
): Promise<readonly AdapterFolder[]> {
  const places: AdapterFolder[] = [];
  const database = await openDatabase({ dataDir });
  const store = await openAdapterStore(dataDir, folderVault(dataDir));
  const scratch = await mkdtemp(join(tmpdir(), 'attune-seed-'));
  try {
    for (const [index, { subject, mode, adapter }] of adapters.entries()) {
      const folder = join(scratch, String(index));
      const user = await ensureUser(database.kysely, subject, new Date());
      await writePeftFolder(folder, adapter, base);
      const { sha256, files } = await store.put(folder, user.id);
      places.push({ sha256, ...(await store.folderOf({ userId: user.id, sha256 })) });
      await database.kysely.transaction().execute(async (tx) => {
        await lockUser(tx, user.id);
        await makeLive(tx, {
          userId: user.id,
          mode,
          origin: 'SERVER',
          baseSha256: base.sha256,
          rank: adapter.shape.rank,
          sha256,
          files: JSON.stringify(files),
          createdAt: new Date(),
        });
      });
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
    await database.close();
  }
  return places;
}

function randomAdapter({ config }: Base, seed: number) {
  const flat = new Float32Array(loraSize(config, SHAPE));
  let state = seed;
  for (let i = 0; i < flat.length; i += 1) {
    // the generator of Numerical Recipes: any spread of values does
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    flat[i] = (state / 2 ** 32 - 0.5) * SPREAD;
  }
  return unflattenLora(config, SHAPE, flat);
}
