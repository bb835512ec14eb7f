/** How the learning rate moves over a run. */
export interface Schedule {
  readonly peak: number;
  readonly totalSteps: number;
  /** The share of all steps that climb to the peak. */
  readonly warmupShare: number;
}

/** The learning rate of a step (0-based): a straight climb to the peak, then half a cosine down towards zero.
 *  No step gets zero, because a step that cannot learn is a step wasted. */
export function learningRateAt(step: number, schedule: Schedule): number {
  const { peak, totalSteps, warmupShare } = schedule;
  const warmupSteps = Math.ceil(totalSteps * warmupShare);
  if (step < warmupSteps) return (peak * (step + 1)) / (warmupSteps + 1);
  const done = (step - warmupSteps) / (totalSteps - warmupSteps);
  return (peak * (1 + Math.cos(Math.PI * done))) / 2;
}
