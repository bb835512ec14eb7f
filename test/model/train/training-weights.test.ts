import { expect, test } from 'vitest';
import { gradients } from '../../../src/graph/gradients.ts';
import { buildGraph } from '../../../src/graph/graph.ts';
import { encodeOnnx } from '../../../src/graph/onnx/encode.ts';
import { mul } from '../../../src/graph/ops/elementwise.ts';
import { sumAll } from '../../../src/graph/ops/reduce.ts';
import { input } from '../../../src/graph/tensor.ts';
import { must } from '../../../src/lib/errors.ts';
import { linearName } from '../../../src/model/lora/lora.ts';
import { int8TrainingWeights } from '../../../src/model/train/training-weights.ts';
import { hostTensor } from '../../../src/runtime/host-tensor.ts';
import { exactWeightSign } from '../../../src/runtime/integer-products.ts';
import { openSession } from '../../../src/runtime/session.ts';
import { randomCheckpoint, SMALL_CONFIG, temporaryBase } from '../../support/model/random-llama.ts';

test('machines with either sign give the same bits, forward and backward', async () => {
  const { base, remove } = await temporaryBase(randomCheckpoint(SMALL_CONFIG));
  const rows = Float32Array.from({ length: 3 * SMALL_CONFIG.hiddenSize }, (_, i) => Math.sin(i));
  const found: unknown[] = [];
  for (const sign of [await exactWeightSign(), 'u8'] as const) {
    const weights = await int8TrainingWeights(base, sign);
    const x = input('x', 'f32', ['M', SMALL_CONFIG.hiddenSize]);
    const y = weights.linear(x, linearName(0, 'up_proj'));
    const loss = sumAll(mul(y, y));
    const [dx] = gradients(loss, [x]);
    const graph = buildGraph('both', { y, dx: must(dx, 'a gradient') });
    const session = await openSession(encodeOnnx(graph), { externalDataFolder: base.dir });
    const outputs = await session.run({ x: hostTensor(rows, [3, SMALL_CONFIG.hiddenSize]) });
    found.push([outputs.y?.data, outputs.dx?.data]);
    await session.close();
  }
  expect(found[0]).toEqual(found[1]);
  await remove();
});
