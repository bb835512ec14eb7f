// Where the time of a step goes: onnxruntime's own profile, by kind of work. Profiling itself takes a few microseconds a
// node, so the sums are larger than a step is without it; what an almost empty node takes is shown to be subtracted.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { showTable } from '../../demo/show.ts';
import { AdapterSlots } from '../../src/inference/adapter-slots.ts';
import { adapterImage } from '../../src/inference/core/adapter-image.ts';
import { KvBlock } from '../../src/inference/core/kv-block.ts';
import { ModelRunner } from '../../src/inference/core/model-runner.ts';
import { decodePackage } from '../../src/model/decode/decode-package.ts';
import { LORA_MODULES } from '../../src/model/lora/lora.ts';
import { exactWeightSign } from '../../src/runtime/integer-products.ts';
import { openSession } from '../../src/runtime/session.ts';
import { randomAdapter } from '../../test/support/model/random-llama.ts';
import { type Figure, median } from './figure.ts';
import type { Bench } from './sides.ts';

const RANK = 8;
const BUCKET = 192;
const PAST = 140;
const WARM_UP = 5;
const STEPS = 20;

interface NodeEvent {
  readonly cat: string;
  readonly name: string;
  readonly dur: number;
  readonly ts: number;
  readonly args: {
    readonly op_name?: string;
    readonly input_type_shape?: readonly Readonly<Record<string, readonly number[]>>[];
  };
}

/** Prints a table for a step of one row and one of eight; gives no figures. */
export async function profileSteps(bench: Bench): Promise<Figure[]> {
  for (const rows of [1, 8]) {
    const prefix = join(bench.folder, `profile-${rows}`);
    const plainMs = await runSteps(bench, rows);
    const profiledMs = await runSteps(bench, rows, prefix);
    const events = await readEvents(bench.folder, `profile-${rows}`);
    showProfile(`B${rows}`, events, { plainMs, profiledMs });
  }
  return [];
}

/** The median of the milliseconds that a step takes as JavaScript sees it. */
async function runSteps(
  { base, threads }: Bench,
  rows: number,
  profilePrefix?: string,
): Promise<number> {
  const graph = await decodePackage(base, await exactWeightSign());
  const session = await openSession(graph, {
    threads,
    memoryPattern: false,
    ...(profilePrefix === undefined ? {} : { profilePrefix }),
  });
  const runner = new ModelRunner(session, base.config);
  const block = new KvBlock(base.config, rows * BUCKET);
  const slots = new AdapterSlots(base.config, rows);
  const shape = { rank: RANK, alpha: RANK, modules: LORA_MODULES };
  for (let b = 0; b < rows; b += 1) {
    block.addRow();
    slots.push(adapterImage(base.config, randomAdapter(base.config, shape, b)));
  }
  block.setBucket(BUCKET);
  const times: number[] = [];
  for (let step = 0; step < WARM_UP + STEPS; step += 1) {
    const startedAt = performance.now();
    const ids = Array.from({ length: rows }, (_, b) => [1000 + b * 100 + step]);
    const past = Array.from({ length: rows }, () => PAST + step);
    await runner.run({ block, lora: slots.feeds(), ids, past }, true);
    times.push(performance.now() - startedAt);
  }
  await runner.close();
  return median(times.slice(WARM_UP));
}

async function readEvents(folder: string, prefix: string): Promise<readonly NodeEvent[]> {
  const name = (await readdir(folder)).find((file) => file.startsWith(`${prefix}_`));
  const events = JSON.parse(await readFile(join(folder, String(name)), 'utf8')) as NodeEvent[];
  const runs = events.filter((event) => event.name === 'model_run').map(({ ts }) => ts);
  const start = runs.sort((a, b) => a - b)[WARM_UP] ?? 0;
  return events.filter((event) => event.ts >= start);
}

function showProfile(
  title: string,
  events: readonly NodeEvent[],
  { plainMs, profiledMs }: { readonly plainMs: number; readonly profiledMs: number },
): void {
  const kinds = new Map<string, { nodes: number; us: number }>();
  const nodes = events.filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'));
  for (const node of nodes) {
    const kind = kindOf(node);
    const sum = kinds.get(kind) ?? { nodes: 0, us: 0 };
    kinds.set(kind, { nodes: sum.nodes + 1, us: sum.us + node.dur });
  }
  const durations = nodes.map(({ dur }) => dur).sort((a, b) => a - b);
  const emptyUs = durations[Math.floor(durations.length / 20)] ?? 0;
  const rows = [...kinds].sort(([, a], [, b]) => b.us - a.us);
  const ms = (us: number) => (us / STEPS / 1000).toFixed(2);
  showTable(
    [`${title}: kind of work`, 'nodes a step', 'ms a step', 'less empty nodes'],
    [
      ...rows.map(([kind, { nodes: count, us }]) => [
        kind,
        (count / STEPS).toFixed(0),
        ms(us),
        ms(us - count * emptyUs),
      ]),
      ['whole run, profiled', '', profiledMs.toFixed(2), ''],
      ['whole run, not profiled', '', plainMs.toFixed(2), ''],
    ],
  );
}

const QUANTISING = new Set([
  'Abs',
  'ReduceMax',
  'Max',
  'QuantizeLinear',
  'DequantizeLinear',
  'Sub',
]);
const MOVING = new Set(['Reshape', 'Transpose', 'Concat', 'Split', 'Gather', 'Shape', 'Slice']);

function kindOf({ args }: NodeEvent): string {
  const op = args.op_name ?? '';
  if (op.startsWith('MatMulInteger') || op.startsWith('DynamicQuantize')) return 'integer products';
  if (op.includes('MatMul'))
    return isLora(args.input_type_shape) ? 'LoRA products' : 'attention products';
  if (QUANTISING.has(op)) return 'quantising';
  if (op === 'Softmax' || op === 'RotaryEmbedding') return 'softmax, rotary positions';
  if (op.includes('Norm')) return 'norms';
  return MOVING.has(op) ? 'moving and shapes' : 'other elementwise';
}

/** A product with an A or B of rank 8, one to three of which lie side by side; attention's lengths are multiples of 64, or 1. */
function isLora(inputs: NodeEvent['args']['input_type_shape']): boolean {
  const second = Object.values(inputs?.[1] ?? {})[0] ?? [];
  return [RANK, 2 * RANK, 3 * RANK].includes(second.at(-2) ?? 0);
}
