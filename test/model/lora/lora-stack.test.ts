import { expect, test } from 'vitest';
import { LORA_MODULES, type LoraModule, moduleSize } from '../../../src/model/lora/lora.ts';
import {
  LORA_SITES,
  loraInputs,
  loraNames,
  packLora,
  paddedRank,
  siteLayout,
} from '../../../src/model/lora/lora-stack.ts';
import { randomAdapter, SMALL_CONFIG } from '../../support/model/random-llama.ts';

const R = 8;
const shape = { rank: 5, alpha: 15, modules: LORA_MODULES };
const adapter = randomAdapter(SMALL_CONFIG, shape, 1);

function packed(): ReadonlyMap<string, Float32Array> {
  const arrays = packLora(SMALL_CONFIG, adapter, R);
  return new Map(loraInputs(SMALL_CONFIG).map(({ name }, i) => [name, arrays[i] as Float32Array]));
}

/** B A of one module, out of the stacked inputs: f32[out, in], the way the graph uses them. */
function stackedProduct(layer: number, module: LoraModule): number[] {
  const site = LORA_SITES.find((one) => siteLayout(SMALL_CONFIG, one).modules.includes(module));
  if (site === undefined) throw new Error(module);
  const { modules, blocks, width, in: inner } = siteLayout(SMALL_CONFIG, site);
  const names = loraNames(layer, site);
  const a = packed().get(names.a) ?? new Float32Array();
  const b = packed().get(names.b) ?? new Float32Array();
  const index = modules.indexOf(module);
  const product: number[] = [];
  for (const [block, owner] of blocks.entries()) {
    if (owner !== index) continue;
    for (let column = 0; column < width; column += 1)
      for (let i = 0; i < inner; i += 1) {
        let sum = 0;
        for (let r = 0; r < R; r += 1)
          sum +=
            (b[(block * R + r) * width + column] as number) *
            (a[(index * R + r) * inner + i] as number);
        product.push(sum);
      }
  }
  return product;
}

test.each(LORA_MODULES)('stacks %s so that its product is alpha / rank B A', (module) => {
  const tensor = adapter.tensors.find((one) => one.layer === 1 && one.module === module);
  const { in: inner, out } = moduleSize(SMALL_CONFIG, module);
  const product = stackedProduct(1, module);
  expect(product).toHaveLength(out * inner);
  for (const at of [0, 1, inner, out * inner - 1]) {
    let expected = 0;
    for (let r = 0; r < shape.rank; r += 1)
      expected +=
        3 *
        (tensor?.b[Math.floor(at / inner) * shape.rank + r] ?? Number.NaN) *
        (tensor?.a[r * inner + (at % inner)] ?? Number.NaN);
    expect(product[at]).toBeCloseTo(expected, 5);
  }
});

test('leaves what an adapter does not adapt at zero', () => {
  const partial = randomAdapter(
    SMALL_CONFIG,
    { rank: 2, alpha: 2, modules: ['k_proj'], layers: [0] },
    1,
  );
  const arrays = packLora(SMALL_CONFIG, partial, R);
  const nonZero = loraInputs(SMALL_CONFIG).filter((_, i) => arrays[i]?.some((x) => x !== 0));
  expect(nonZero.map(({ name }) => name)).toEqual(['lora_a.0.qkv', 'lora_b.0.qkv']);
});

test('pads ranks to those that batches run at, and refuses more', () => {
  expect([1, 2, 8, 9, 16].map(paddedRank)).toEqual([1, 8, 8, 16, 16]);
  expect(() => paddedRank(17)).toThrow('a rank of at most 16, not 17');
});
