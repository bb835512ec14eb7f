/** One measured figure. */
export interface Figure {
  /** Its name in the JSON line. */
  readonly key: string;
  readonly value: number;
  /** The target, as text. */
  readonly reach: string;
  /** What the figure is made of, with units. */
  readonly from: string;
}

/** The middle one; of an even count, the upper of the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
