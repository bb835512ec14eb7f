import { expect, it } from 'vitest';
import { recipeFrom, recipeOf } from '../../../src/training/core/recipe.ts';
import { SMALL_CONFIG } from '../../support/model/random-llama.ts';

const CHOICES = {
  objective: 'SFT',
  lora: { rank: 8, alpha: 16, modules: ['q_proj'] },
  training: { learningRate: 0.002, epochs: 3, batchSize: 4, maxTokens: 512 },
  incremental: { epochs: 2, learningRateShare: 0.5, replay: 2 },
  preferences: { reference: 'base' },
} as const;

it('takes what a mode chooses and fills in the rest', () => {
  expect(recipeOf(CHOICES, SMALL_CONFIG)).toMatchObject({
    lora: CHOICES.lora,
    ...CHOICES.training,
    precision: 'int8',
    clipNorm: 1,
  });
});

it('never asks for more tokens than the base can read', () => {
  const config = { ...SMALL_CONFIG, contextLength: 100 };
  expect(recipeOf(CHOICES, config).maxTokens).toBe(100);
});

it('learns preferences where the mode says so, after or instead of writing', () => {
  const dpoOf = (objective: 'SFT' | 'DPO' | 'SFT_THEN_DPO') =>
    recipeOf({ ...CHOICES, objective }, SMALL_CONFIG).dpo;
  expect(dpoOf('SFT')).toBeUndefined();
  expect(dpoOf('DPO')).toMatchObject({ afterWriting: false, beta: 0.1 });
  expect(dpoOf('SFT_THEN_DPO')).toMatchObject({ afterWriting: true, beta: 0.1 });
});

it('adapts the top layers only where the mode says how many', () => {
  const layersOf = (topLayers: number) =>
    recipeOf(
      { ...CHOICES, lora: { ...CHOICES.lora, topLayers } },
      { ...SMALL_CONFIG, layerCount: 5 },
    ).lora;
  expect(layersOf(2)).toEqual({ ...CHOICES.lora, layers: [3, 4] });
  expect(layersOf(5)).toEqual(CHOICES.lora);
  expect(layersOf(9)).toEqual(CHOICES.lora);
});

it('learns for less long and at a lower rate where a run begins from an adapter', () => {
  const chosen = recipeOf(CHOICES, SMALL_CONFIG);
  const pace = (start: 'fresh' | 'shipped' | 'earlier', recipe = chosen) => {
    const { epochs, learningRate, patience } = recipeFrom(start, recipe);
    return { epochs, learningRate, patience };
  };
  expect(pace('fresh')).toEqual({ epochs: 3, learningRate: 0.002, patience: 1 });
  expect(pace('shipped')).toEqual({ epochs: 2, learningRate: 0.2 * 0.002, patience: 2 });
  expect(pace('earlier')).toEqual({ epochs: 2, learningRate: 0.5 * 0.002, patience: 2 });
  const once = recipeOf({ ...CHOICES, training: { ...CHOICES.training, epochs: 1 } }, SMALL_CONFIG);
  expect(pace('shipped', once).epochs).toBe(1);
});
