// What the processor can do at best, and how much of that a training step needs: both counted in multiplications of matrices.

import { buildGraph } from '../../src/graph/graph.ts';
import { encodeOnnx } from '../../src/graph/onnx/encode.ts';
import { matmul, matmulIntegerToFloat } from '../../src/graph/ops/matrix.ts';
import { constant, f32, input, scalar } from '../../src/graph/tensor.ts';
import type { LlamaConfig } from '../../src/model/llama-config.ts';
import {
  LORA_MODULES,
  type LoraModule,
  loraLayers,
  loraPlaces,
  moduleSize,
} from '../../src/model/lora/lora.ts';
import { hostTensor } from '../../src/runtime/host-tensor.ts';
import { openSession } from '../../src/runtime/session.ts';
import type { Batch } from '../../src/training/core/batch.ts';
import type { Recipe } from '../../src/training/core/recipe.ts';

/** Multiply-adds per second of one large product, by the numbers it is made of. */
export interface Peak {
  readonly fp32: number;
  readonly int8: number;
}

/** Multiply-adds of one training step, by the numbers they are made of. */
export interface StepProducts {
  readonly fp32: number;
  readonly int8: number;
}

const BEFORE_ATTENTION: readonly LoraModule[] = ['q_proj', 'k_proj', 'v_proj'];

// A product so large that nothing but multiplying counts.
const SIZE = 1024;
const REPEATS = 8;

/** Measures both peaks on `threads` threads: the fastest of several products of 1,024 x 1,024 matrices each. */
export async function measurePeak(threads: number): Promise<Peak> {
  const random = Float32Array.from(
    { length: SIZE * SIZE },
    (_, i) => ((i * 7919) % 251) / 251 - 0.5,
  );
  const bytes = Uint8Array.from(random, (value) => Math.round(value * 100) + 128);
  const a = input('a', 'f32', [SIZE, SIZE]);
  const q = input('q', 'u8', [SIZE, SIZE]);
  const y = matmul(a, f32([SIZE, SIZE], random));
  const integers = constant(
    'i8',
    [SIZE, SIZE],
    Int8Array.from(random, (v) => Math.round(v * 100)),
  );
  const z = matmulIntegerToFloat(q, integers, {
    aScale: scalar(1),
    bScale: f32([SIZE], new Float32Array(SIZE).fill(1)),
    aZero: constant('u8', [], [128]),
  });
  return {
    fp32: await fastest({ y }, { a: hostTensor(random, [SIZE, SIZE]) }, threads),
    int8: await fastest({ z }, { q: hostTensor(bytes, [SIZE, SIZE]) }, threads),
  };
}

async function fastest(
  outputs: Parameters<typeof buildGraph>[1],
  feeds: Record<string, ReturnType<typeof hostTensor>>,
  threads: number,
): Promise<number> {
  const session = await openSession(encodeOnnx(buildGraph('peak', outputs)), { threads });
  const times: number[] = [];
  for (let i = 0; i < REPEATS; i += 1) {
    const startedAt = performance.now();
    await session.run(feeds);
    times.push(performance.now() - startedAt);
  }
  await session.close();
  return (1000 * SIZE ** 3) / Math.min(...times);
}

/** Counts the products of one writing step over the batch, its padding too, as the graph has them: forward, where a frozen matrix of
 *  8-bit integers is multiplied twice, and for the gradient one product per frozen matrix, two per LoRA matrix and four in
 *  attention. What follows attention in the last layer is computed for the targets alone. */
export function productsOfStep(config: LlamaConfig, recipe: Recipe, batch: Batch): StepProducts {
  const tokens = batch.examples.length * batch.length;
  const targets = batch.targets.length;
  const layers = loraLayers(config, recipe.lora);
  const rowsOf = (layer: number, module: LoraModule) =>
    layer === config.layerCount - 1 && !BEFORE_ATTENTION.includes(module) ? targets : tokens;
  const frozen = sum(
    layers.flatMap((layer) =>
      LORA_MODULES.map((module) => {
        const size = moduleSize(config, module);
        return rowsOf(layer, module) * size.in * size.out;
      }),
    ),
  );
  const lora = sum(
    loraPlaces(config, recipe.lora).map(
      (place) => rowsOf(place.layer, place.module) * recipe.lora.rank * (place.in + place.out),
    ),
  );
  const head = targets * config.vocabSize * config.hiddenSize;
  const attention = 2 * tokens * batch.length * config.headCount * config.headSize * layers.length;
  const floats = frozen + 2 * head + 3 * lora + 3 * attention;
  return recipe.precision === 'fp32'
    ? { fp32: floats + frozen, int8: 0 }
    : { fp32: floats - frozen, int8: 3 * frozen };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
