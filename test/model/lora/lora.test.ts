import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  coveringShape,
  flattenLora,
  LORA_MODULES,
  type LoraShape,
  linearName,
  loraLayers,
  loraPlaces,
  loraSize,
  moduleSize,
  unflattenLora,
} from '../../../src/model/lora/lora.ts';
import { randomAdapter, randomCheckpoint, SMALL_CONFIG } from '../../support/model/random-llama.ts';
import { referenceLogits } from '../../support/model/reference-llama.ts';

const CONFIG = { ...SMALL_CONFIG, layerCount: 3 };

const shapes: fc.Arbitrary<LoraShape> = fc
  .record({
    rank: fc.integer({ min: 1, max: 16 }),
    alpha: fc.integer({ min: 1, max: 32 }),
    modules: fc.subarray([...LORA_MODULES], { minLength: 1 }),
    layers: fc.subarray([0, 1, 2], { minLength: 1 }),
    whole: fc.boolean(),
  })
  .map(({ layers, whole, ...shape }) => (whole ? shape : { ...shape, layers }));

describe('moduleSize', () => {
  it('is the shape of the linear layer, by head counts and by width', () => {
    expect(LORA_MODULES.map((module) => moduleSize(SMALL_CONFIG, module))).toEqual([
      { in: 64, out: 64 },
      { in: 64, out: 32 },
      { in: 64, out: 32 },
      { in: 64, out: 64 },
      { in: 64, out: 96 },
      { in: 64, out: 96 },
      { in: 96, out: 64 },
    ]);
  });
});

describe('linearName', () => {
  it('is the name of the layer in a Hugging Face checkpoint', () => {
    expect(linearName(3, 'q_proj')).toBe('model.layers.3.self_attn.q_proj');
    expect(linearName(0, 'down_proj')).toBe('model.layers.0.mlp.down_proj');
  });
});

describe('loraPlaces', () => {
  it('fill the flat array without gap or overlap, once per adapted layer', () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const places = loraPlaces(CONFIG, shape);
        const marks = new Uint8Array(loraSize(CONFIG, shape));
        const mark = (from: number, length: number) => {
          for (let i = from; i < from + length; i += 1) marks[i] = (marks[i] ?? 99) + 1;
        };
        for (const place of places) {
          mark(place.aOffset, shape.rank * place.in);
          mark(place.bOffset, shape.rank * place.out);
        }
        expect(marks.every((count) => count === 1)).toBe(true);
        expect(places).toHaveLength(loraLayers(CONFIG, shape).length * shape.modules.length);
      }),
    );
  });

  it('keep the A matrices of layers that read one input side by side', () => {
    const places = loraPlaces(CONFIG, { rank: 4, alpha: 4, modules: LORA_MODULES });
    const [q, k, v] = places.map(({ aOffset }) => aOffset);
    expect([k, v]).toEqual([(q ?? 0) + 4 * 64, (q ?? 0) + 8 * 64]);
  });
});

describe('the flat array', () => {
  it('holds an adapter and gives it back', () => {
    fc.assert(
      fc.property(shapes, fc.nat(), (shape, seed) => {
        const adapter = randomAdapter(CONFIG, shape, seed);
        expect(unflattenLora(CONFIG, shape, flattenLora(CONFIG, adapter))).toEqual(adapter);
      }),
      { numRuns: 20 },
    );
  });

  it('of a larger shape means the same adapter', () => {
    const model = randomCheckpoint(SMALL_CONFIG);
    const small = randomAdapter(
      SMALL_CONFIG,
      { rank: 2, alpha: 3, modules: ['v_proj'], layers: [1] },
      5,
    );
    const shape: LoraShape = { rank: 8, alpha: 16, modules: LORA_MODULES };
    const large = unflattenLora(SMALL_CONFIG, shape, flattenLora(SMALL_CONFIG, small, shape));
    const ids = [4, 90, 17, 200];
    const expected = referenceLogits(model, ids, small).at(-1) ?? [];
    const actual = referenceLogits(model, ids, large).at(-1) ?? [];
    for (const [i, logit] of expected.entries()) expect(actual[i]).toBeCloseTo(logit, 5);
    const plain = referenceLogits(model, ids).at(-1) ?? [];
    expect(plain[0]).not.toBeCloseTo(expected[0] ?? 0, 2);
  });

  it('of a shape that lacks a layer is refused', () => {
    const adapter = randomAdapter(CONFIG, { rank: 2, alpha: 2, modules: ['q_proj'] }, 1);
    const narrow: LoraShape = { rank: 2, alpha: 2, modules: ['q_proj'], layers: [0] };
    expect(() => flattenLora(CONFIG, adapter, narrow)).toThrow('the shape has every layer');
  });
});

describe('coveringShape', () => {
  it('has room for both, and is the first where that is enough', () => {
    fc.assert(
      fc.property(shapes, shapes, (shape, other) => {
        const cover = coveringShape(CONFIG, shape, other);
        expect(coveringShape(CONFIG, cover, shape)).toBe(cover);
        expect(coveringShape(CONFIG, cover, other)).toBe(cover);
        expect(coveringShape(CONFIG, shape, shape)).toBe(shape);
        flattenLora(CONFIG, randomAdapter(CONFIG, shape, 1), cover);
        flattenLora(CONFIG, randomAdapter(CONFIG, other, 1), cover);
      }),
    );
  });
});
