// What sealing costs: bytes per second and the time to bring an adapter into memory, sealed against plain, for a rank 8 adapter
// of the installed default base. One JSON line. `node --import tsx bench/sealing.ts`

import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPeftFolder, writePeftFolder } from '../src/adapters/peft.ts';
import { adapterImage } from '../src/inference/core/adapter-image.ts';
import { must } from '../src/lib/errors.ts';
import { LORA_MODULES } from '../src/model/lora/lora.ts';
import { roundLora, TENSORS_FILE } from '../src/model/lora/lora-wire.ts';
import { describeFileIn, type Folder, writeFileIn } from '../src/sealing/private-folder.ts';
import { randomAdapter } from '../test/support/model/random-llama.ts';
import { realBase } from '../test/support/model/real-base.ts';

const ROUNDS = 30;

const base = must(realBase, 'the default base is installed: run npm start once');
const shape = { rank: 8, alpha: 16, modules: LORA_MODULES };
const root = await mkdtemp(join(tmpdir(), 'attune-sealing-'));
try {
  const adapter = roundLora(randomAdapter(base.config, shape, 1));
  const seal = { place: 'bench', keys: [{ generation: 1, key: randomBytes(32) }] };
  const folders = { plain: join(root, 'plain'), sealed: { dir: join(root, 'sealed'), seal } };
  for (const folder of Object.values(folders)) await writePeftFolder(folder, adapter, base);
  const tensors = await readFile(join(root, 'plain', TENSORS_FILE));
  const megabytes = tensors.length / 1e6;
  const figures: Record<string, number> = { adapterMb: megabytes };
  for (const [kind, folder] of Object.entries(folders)) {
    const load = await medianMs(() => loadInto(folder));
    const read = await medianMs(() => describeFileIn(folder, TENSORS_FILE));
    const scratch =
      typeof folder === 'string' ? `${folder}-out` : { ...folder, dir: `${folder.dir}-out` };
    await mkdir(typeof scratch === 'string' ? scratch : scratch.dir);
    const write = await medianMs(() => writeFileIn(scratch, TENSORS_FILE, tensors));
    figures[`${kind}LoadMs`] = load;
    figures[`${kind}ReadMbPerS`] = (1000 * megabytes) / read;
    figures[`${kind}WriteMbPerS`] = (1000 * megabytes) / write;
  }
  process.stdout.write(`${JSON.stringify(figures)}\n`);
} finally {
  await rm(root, { recursive: true });
}

/** From the files to what a slot of the decode graph is filled with. */
async function loadInto(folder: Folder): Promise<void> {
  adapterImage(base.config, await readPeftFolder(folder, base));
}

async function medianMs(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < ROUNDS; i += 1) {
    const start = performance.now();
    await work();
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[ROUNDS / 2] ?? 0;
}
