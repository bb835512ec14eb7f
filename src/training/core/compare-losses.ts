// Which of two measured numbers is the lower one. All choices of a run rest on it: which epoch is kept, and what the gate
// says. Server and device compute with different kernels, and must choose alike from the same data.

/** In nats. Kernels that add floats in another order differ by about a tenth of it, and no text is written better for it. */
const NOISE = 1e-5;

/** Whether one number is below another by more than noise; never, if either is no number. */
export function isBelow(one: number, other: number): boolean {
  return other - one > NOISE;
}

/** Index of the lowest loss: the first of those that only noise tells apart from it; -1 where there are none. */
export function lowest(losses: readonly number[]): number {
  return losses.reduce(
    (best, loss, i) => (best < 0 || isBelow(loss, losses[best] ?? Number.NaN) ? i : best),
    -1,
  );
}
