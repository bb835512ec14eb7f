import { describe, expect, it } from 'vitest';
import { EMPTY_DATASET_SHA256 } from '../../src/dataset/core/dataset-name.ts';
import { decideRun, type PastDatasets, type RunDecision } from '../../src/dataset/decide-run.ts';
import type { FoldedDataset } from '../../src/dataset/fold-dataset.ts';
import type { Objective } from '../../src/modes/mode.ts';

function folded(sha256: string, train: number, holdout: number): FoldedDataset {
  const row = {
    ...{ id: 'd', userId: 'u', mode: 'subject', sha256, exampleCount: train + holdout },
    ...{ preferenceCount: 0, changeSeq: 9, createdAt: new Date(0) },
  };
  const none = { train: 0, validation: 0, holdout: 0 };
  return { row, splitCounts: { train, validation: 0, holdout }, pairCounts: none };
}

/** As `folded`, with preferences in place of examples. */
function ofPairs(sha256: string, train: number, holdout: number): FoldedDataset {
  const { row, splitCounts, pairCounts } = folded(sha256, train, holdout);
  return { row, splitCounts: pairCounts, pairCounts: splitCounts };
}

const TOO_LITTLE: RunDecision = { kind: 'skip', reason: 'TOO_LITTLE_DATA' };
const UNCHANGED: RunDecision = { kind: 'skip', reason: 'UNCHANGED' };
const TRAIN: RunDecision = { kind: 'train' };
const NOTHING = { learnt: EMPTY_DATASET_SHA256, judged: null };

describe('decideRun', () => {
  const LIVE = { learnt: 'live', judged: 'judged' };
  it.each<[string, FoldedDataset, { past: PastDatasets; forced?: boolean }, RunDecision]>([
    ['enough and new', folded('new', 28, 8), { past: NOTHING }, TRAIN],
    ['one held-out example too few', folded('new', 28, 7), { past: NOTHING }, TOO_LITTLE],
    ['one too few, forced', folded('new', 28, 7), { past: NOTHING, forced: true }, TOO_LITTLE],
    ['nothing to train on', folded('new', 0, 8), { past: NOTHING }, TOO_LITTLE],
    ['nothing at all', folded(EMPTY_DATASET_SHA256, 0, 0), { past: NOTHING }, TOO_LITTLE],
    ['what is live', folded('live', 28, 8), { past: LIVE }, UNCHANGED],
    ['what was judged last', folded('judged', 28, 8), { past: LIVE }, UNCHANGED],
    ['what was live long ago', folded('old', 28, 8), { past: LIVE }, TRAIN],
    ['what is live, forced', folded('live', 28, 8), { past: LIVE, forced: true }, TRAIN],
    ['what is live but too little', folded('live', 28, 7), { past: LIVE }, TOO_LITTLE],
  ])('decides on %s', (_what, dataset, { past, forced = false }, decision) => {
    expect(decideRun(dataset, past, { objective: 'SFT', minHoldout: 8, forced })).toEqual(decision);
  });

  it.each<[FoldedDataset, Objective, RunDecision]>([
    [ofPairs('new', 28, 8), 'SFT', TOO_LITTLE],
    [ofPairs('new', 28, 8), 'DPO', TRAIN],
    [ofPairs('new', 28, 8), 'SFT_THEN_DPO', TRAIN],
    [ofPairs('new', 28, 7), 'DPO', TOO_LITTLE],
    [ofPairs('new', 0, 8), 'DPO', TOO_LITTLE],
    [ofPairs('live', 28, 8), 'DPO', UNCHANGED],
    [folded('new', 28, 8), 'DPO', TRAIN],
  ])('decides on preferences or examples alone, %#', (dataset, objective, decision) => {
    const options = { objective, minHoldout: 8, forced: false };
    expect(decideRun(dataset, LIVE, options)).toEqual(decision);
  });
});
