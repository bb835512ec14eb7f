// The gate: whether a trained adapter may answer for its user. Measures in, a verdict with its reason out.

import { must } from '../../lib/errors.ts';
import { isBelow } from './compare-losses.ts';

/** One held-out example: its target tokens, and the negative log-likelihood (nats, summed over them) under each. */
export interface HoldoutMeasure {
  readonly sha256: string;
  readonly tokens: number;
  readonly candidate: number;
  readonly base: number;
  /** Null: no adapter was live when the run began. */
  readonly live: number | null;
}

/** One held-out pair: log p(chosen) - log p(rejected) under each, in nats. */
export interface PreferenceMeasure {
  readonly sha256: string;
  readonly candidate: number;
  readonly base: number;
  /** Null: no adapter was live when the run began. */
  readonly live: number | null;
}

/** The general probe: its tokens, and their negative log-likelihood (nats, summed) under each. */
export interface ProbeMeasure {
  readonly tokens: number;
  readonly candidate: number;
  readonly base: number;
}

/** What the trainer measured for the gate. */
export interface HoldoutMeasures {
  readonly examples: readonly HoldoutMeasure[];
  /** Absent: there are none. */
  readonly preferences?: readonly PreferenceMeasure[];
  /** Absent: not measured. */
  readonly probe?: ProbeMeasure;
}

/** A mode's demands. */
export interface GateOptions {
  /** A mean loss may be worse than the live adapter's by this much (nats per token), or by one standard error. */
  readonly marginNats: number;
  /** With fewer held-out examples nothing can be said. */
  readonly minHoldout: number;
  /** The mean loss on the general probe may be above the base's by this much (nats per token). Absent: by any. */
  readonly probeMarginNats?: number;
  /** Absent: SFT. */
  readonly objective?: 'SFT' | 'DPO' | 'SFT_THEN_DPO';
}

/** The verdict, with the figures it rests on (mean nats per target token). */
export interface GateVerdict {
  readonly holdoutExamples: number;
  readonly loss: number | null;
  readonly baseLoss: number | null;
  readonly previousLoss: number | null;
  /** The share of held-out pairs of which the chosen answer became likelier, beside the rejected one, than it is for
   *  the base; a tie counts half. Null without pairs. */
  readonly preferenceAccuracy: number | null;
  /** Mean loss on text that the user did not write, with the adapter and of the base; null where it was not measured. */
  readonly probeLoss: number | null;
  readonly baseProbeLoss: number | null;
  readonly passed: boolean;
  readonly reason: string;
}

/** Passes an adapter whose held-out loss is below the base's (by more than the noise of floats) and is not above the live adapter's by more than
 *  the larger of the margin and one standard error of the difference, paired by example, and which does not turn the
 *  user's preferences round: of the held-out pairs, no fewer than half less one standard error of guessing are right, and
 *  no fewer than the live adapter gets right less two standard errors of the difference, paired by pair.
 *  An adapter that learnt preferences alone need not write better than the base, just no worse by that same measure;
 *  but it must get more than half of the held-out pairs right. Where preferences are learnt and there are too few held-out
 *  examples but enough pairs, the pairs alone decide, by that same rule.
 *  None may foretell the general probe worse than the base by more than the mode's margin. */
export function decideGate(measures: HoldoutMeasures, gate: GateOptions): GateVerdict {
  const { examples, preferences = [] } = measures;
  const figures = figuresOf(measures);
  const pairsDecide =
    (gate.objective ?? 'SFT') !== 'SFT' &&
    examples.length < gate.minHoldout &&
    preferences.length >= gate.minHoldout;
  const mustBeRight = pairsDecide || gate.objective === 'DPO';
  const objection =
    (pairsDecide ? null : objectionToLoss(examples, figures, gate)) ??
    objectionToAccuracy(figures.preferenceAccuracy, preferences.length, mustBeRight) ??
    objectionToForgetting(preferences) ??
    objectionToProbe(figures, { probe: measures.probe, margin: gate.probeMarginNats });
  return { ...figures, passed: objection === null, reason: objection ?? praise(figures) };
}

/** What was measured, as means. */
export function figuresOf({
  examples,
  preferences = [],
  probe,
}: HoldoutMeasures): Omit<GateVerdict, 'passed' | 'reason'> {
  return {
    holdoutExamples: examples.length,
    loss: meanOf(examples, (e) => e.candidate),
    baseLoss: meanOf(examples, (e) => e.base),
    previousLoss: meanOf(examples, (e) => e.live),
    preferenceAccuracy: accuracyOf(preferences),
    probeLoss: probe === undefined ? null : finiteOrNull(probe.candidate / probe.tokens),
    baseProbeLoss: probe === undefined ? null : finiteOrNull(probe.base / probe.tokens),
  };
}

function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** Why an adapter that is measured on the general probe alone must not answer; null when it may. */
export function probeObjection(probe: ProbeMeasure, marginNats: number): string | null {
  return objectionToProbe(figuresOf({ examples: [], probe }), { probe, margin: marginNats });
}

function objectionToProbe(
  { probeLoss, baseProbeLoss }: Pick<GateVerdict, 'probeLoss' | 'baseProbeLoss'>,
  { probe, margin }: { probe: ProbeMeasure | undefined; margin: number | undefined },
): string | null {
  if (probe === undefined || margin === undefined) return null;
  if (probeLoss === null || baseProbeLoss === null)
    return 'the loss on the general probe is not a number';
  if (!isBelow(baseProbeLoss + margin, probeLoss)) return null;
  return (
    `the adapter unlearns: its loss on the general probe ${nats(probeLoss)} is worse than ` +
    `the base model's ${nats(baseProbeLoss)} by more than ${nats(margin)}`
  );
}

function accuracyOf(pairs: readonly PreferenceMeasure[]): number | null {
  return pairs.length === 0 ? null : average(pairs.map((pair) => pointsOf(pair.candidate, pair)));
}

/** 1 where the chosen answer became likelier beside the rejected one than it is for the base, one half for a tie. */
function pointsOf(margin: number, { base }: PreferenceMeasure): number {
  if (isBelow(base, margin)) return 1;
  // beside what is no number there is no success, and no tie
  return isBelow(margin, base) || Number.isNaN(margin - base) ? 0 : 0.5;
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Why an adapter may not take the place of one that knew the user's preferences better; null when it may, or when the
 *  difference may be chance: two standard errors, because a few pairs differ easily. */
function objectionToForgetting(pairs: readonly PreferenceMeasure[]): string | null {
  const differences = pairs.flatMap((pair) =>
    pair.live === null ? [] : [pointsOf(pair.live, pair) - pointsOf(pair.candidate, pair)],
  );
  const count = differences.length;
  if (count < 2) return null;
  const lost = average(differences);
  const variance = average(differences.map((difference) => (difference - lost) ** 2));
  const allowance = 2 * Math.sqrt(variance / (count - 1));
  if (lost <= allowance) return null;
  const accuracy = must(accuracyOf(pairs), 'there are pairs');
  return (
    `held-out preference accuracy ${accuracy.toFixed(3)} on ${count} pairs is below the live ` +
    `adapter's ${(accuracy + lost).toFixed(3)} by more than ${allowance.toFixed(3)}`
  );
}

function objectionToAccuracy(
  accuracy: number | null,
  count: number,
  mustBeRight: boolean,
): string | null {
  if (accuracy === null) return null;
  const figure = `held-out preference accuracy ${accuracy.toFixed(3)} on ${count} pairs is`;
  if (mustBeRight) return accuracy > 0.5 ? null : `${figure} not above 0.5`;
  // the standard error of as many tosses of a coin: a few pairs can say little
  const least = 0.5 - 0.5 / Math.sqrt(count);
  return accuracy >= least ? null : `${figure} below ${least.toFixed(3)}`;
}

type Figures = Pick<GateVerdict, 'loss' | 'baseLoss' | 'previousLoss' | 'preferenceAccuracy'>;

function objectionToLoss(
  examples: readonly HoldoutMeasure[],
  { loss, baseLoss, previousLoss, preferenceAccuracy }: Figures,
  gate: GateOptions,
): string | null {
  if (examples.length < gate.minHoldout)
    return `TOO_LITTLE_DATA: ${examples.length} held-out examples, ${gate.minHoldout} are needed`;
  if (loss === null || baseLoss === null) return 'a held-out loss is not a number';
  const worseThan = (name: string, otherLoss: number, other: Peer) => {
    const allowance = Math.max(gate.marginNats, standardError(examples, other));
    if (!isBelow(otherLoss + allowance, loss)) return null;
    return (
      `held-out loss ${nats(loss)} is worse than ${name} ${nats(otherLoss)} ` +
      `by more than ${nats(allowance)}`
    );
  };
  const learntPreferencesAlone = gate.objective === 'DPO' && preferenceAccuracy !== null;
  const objection = learntPreferencesAlone
    ? worseThan("the base model's", baseLoss, (e) => e.base)
    : notBelow(loss, baseLoss);
  if (objection !== null || previousLoss === null) return objection;
  const liveOf: Peer = (e) => must(e.live, 'the live loss is known');
  return worseThan("the live adapter's", previousLoss, liveOf);
}

/** What a candidate is compared with. */
type Peer = (example: HoldoutMeasure) => number;

function notBelow(loss: number, baseLoss: number): string | null {
  if (isBelow(loss, baseLoss)) return null;
  return `held-out loss ${nats(loss)} is not below the base model's ${nats(baseLoss)}`;
}

function praise({ loss, baseLoss, previousLoss, preferenceAccuracy }: Figures): string {
  const accuracy =
    preferenceAccuracy === null
      ? []
      : [`held-out preference accuracy ${preferenceAccuracy.toFixed(3)}`];
  if (loss === null || baseLoss === null) return accuracy.join();
  const beside = loss < baseLoss ? 'is below' : 'is hardly above';
  const live = previousLoss === null ? [] : [`the live adapter's is ${nats(previousLoss)}`];
  const own = `held-out loss ${nats(loss)} ${beside} the base model's ${nats(baseLoss)}`;
  return [own, ...live, ...accuracy].join('; ');
}

/** Mean per target token, or null where it is unknown. */
function meanOf(
  examples: readonly HoldoutMeasure[],
  nllOf: (example: HoldoutMeasure) => number | null,
): number | null {
  const tokens = examples.reduce((sum, example) => sum + example.tokens, 0);
  const nlls = examples.map(nllOf);
  if (nlls.includes(null)) return null;
  return finiteOrNull(nlls.reduce<number>((sum, nll) => sum + (nll ?? 0), 0) / tokens);
}

/** Standard error of the difference in mean loss between candidate and another, paired by example: that of a ratio of
 *  two sums over examples (Cochran, "Sampling Techniques", section 6.3: linearised variance). */
function standardError(examples: readonly HoldoutMeasure[], other: Peer): number {
  const count = examples.length;
  if (count < 2) return 0;
  const tokens = examples.reduce((sum, example) => sum + example.tokens, 0);
  const differences = examples.map((e) => e.candidate - other(e));
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
