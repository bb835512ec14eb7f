// The gate: whether a trained adapter may answer for its user. Measures in, a verdict with its reason out.

import { must } from '../lib/errors.ts';

/** One held-out example: its target tokens, and the negative log-likelihood (nats, summed over them) under each. */
export interface HoldoutMeasure {
  readonly sha256: string;
  readonly tokens: number;
  readonly candidate: number;
  readonly base: number;
  /** Null: no adapter was live when the run began. */
  readonly live: number | null;
}

/** What the trainer measured for the gate. */
export interface HoldoutMeasures {
  readonly examples: readonly HoldoutMeasure[];
}

/** A mode's demands. */
export interface GateOptions {
  /** A mean loss may be worse than the live adapter's by this much (nats per token), or by one standard error. */
  readonly marginNats: number;
  /** With fewer held-out examples nothing can be said. */
  readonly minHoldout: number;
}

/** The verdict, with the figures it rests on (mean nats per target token). */
export interface GateVerdict {
  readonly holdoutExamples: number;
  readonly loss: number | null;
  readonly baseLoss: number | null;
  readonly previousLoss: number | null;
  readonly preferenceAccuracy: number | null;
  readonly passed: boolean;
  readonly reason: string;
}

/** Passes an adapter whose held-out loss is below the base's and is not above the live adapter's by more than
 *  the larger of the margin and one standard error of the difference, paired by example. */
export function decideGate(measures: HoldoutMeasures, gate: GateOptions): GateVerdict {
  const { examples } = measures;
  const figures = {
    holdoutExamples: examples.length,
    loss: meanOf(examples, (e) => e.candidate),
    baseLoss: meanOf(examples, (e) => e.base),
    previousLoss: meanOf(examples, (e) => e.live),
    preferenceAccuracy: null,
  };
  const objection = objectionTo(examples, figures, gate);
  return { ...figures, passed: objection === null, reason: objection ?? praise(figures) };
}

type Figures = Pick<GateVerdict, 'loss' | 'baseLoss' | 'previousLoss'>;

function objectionTo(
  examples: readonly HoldoutMeasure[],
  { loss, baseLoss, previousLoss }: Figures,
  gate: GateOptions,
): string | null {
  if (examples.length < gate.minHoldout)
    return `TOO_LITTLE_DATA: ${examples.length} held-out examples, ${gate.minHoldout} are needed`;
  if (loss === null || baseLoss === null) return 'a held-out loss is not a number';
  if (loss >= baseLoss)
    return `held-out loss ${nats(loss)} is not below the base model's ${nats(baseLoss)}`;
  if (previousLoss === null) return null;
  const allowance = Math.max(gate.marginNats, standardError(examples));
  if (loss - previousLoss <= allowance) return null;
  return (
    `held-out loss ${nats(loss)} is worse than the live adapter's ${nats(previousLoss)} ` +
    `by more than ${nats(allowance)}`
  );
}

function praise({ loss, baseLoss, previousLoss }: Figures): string {
  const live = previousLoss === null ? '' : `; the live adapter's is ${nats(previousLoss)}`;
  return `held-out loss ${nats(loss ?? 0)} is below the base model's ${nats(baseLoss ?? 0)}${live}`;
}

/** Mean per target token, or null where it is unknown. */
function meanOf(
  examples: readonly HoldoutMeasure[],
  nllOf: (example: HoldoutMeasure) => number | null,
): number | null {
  const tokens = examples.reduce((sum, example) => sum + example.tokens, 0);
  const nlls = examples.map(nllOf);
  if (nlls.includes(null)) return null;
  const mean = nlls.reduce<number>((sum, nll) => sum + (nll ?? 0), 0) / tokens;
  return Number.isFinite(mean) ? mean : null;
}

/** Standard error of the difference in mean loss between candidate and live adapter, paired by example: that of a
 *  ratio of two sums over examples (Cochran, "Sampling Techniques", section 6.3: linearised variance). */
function standardError(examples: readonly HoldoutMeasure[]): number {
  const count = examples.length;
  if (count < 2) return 0;
  const tokens = examples.reduce((sum, example) => sum + example.tokens, 0);
  const differences = examples.map((e) => e.candidate - must(e.live, 'the live loss is known'));
  const mean = differences.reduce((sum, difference) => sum + difference, 0) / tokens;
  const squares = examples.reduce(
    (sum, example, i) => sum + ((differences[i] ?? 0) - mean * example.tokens) ** 2,
    0,
  );
  return Math.sqrt((squares * count) / (count - 1)) / tokens;
}

function nats(value: number): string {
  return value.toFixed(4);
}
