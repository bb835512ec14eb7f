/** The optimiser's memory: running means of the gradient and of its square, and the steps taken. */
export interface AdamWState {
  readonly mean: Float32Array;
  readonly square: Float32Array;
  steps: number;
}

/** Everything AdamW is told at one step. */
export interface AdamWOptions {
  readonly learningRate: number;
  readonly weightDecay: number;
  /** The gradient is multiplied by this first, and rounded to float32 (default 1). */
  readonly gradientScale?: number;
}

// the values of the paper, which PyTorch and PEFT's examples keep too
const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

/** The state before the first step. */
export function newAdamW(size: number): AdamWState {
  return { mean: new Float32Array(size), square: new Float32Array(size), steps: 0 };
}

/** One step of AdamW; changes `theta` and `state` in place.
 *  Loshchilov and Hutter, "Decoupled weight decay regularization", algorithm 2, with torch.optim.AdamW's order
 *  of operations: the decay first, then the bias-corrected step.
 *  Plain loops over doubles: some hundredths of a training step's time. */
export function stepAdamW(
  theta: Float32Array,
  gradient: Float32Array,
  state: AdamWState,
  options: AdamWOptions,
): void {
  const { mean, square } = state;
  const { gradientScale = 1 } = options;
  state.steps += 1;
  const keep = 1 - options.learningRate * options.weightDecay;
  const stepSize = options.learningRate / (1 - BETA1 ** state.steps);
  const squareScale = 1 / (1 - BETA2 ** state.steps);
  for (let i = 0; i < theta.length; i += 1) {
    const g = Math.fround(gradientScale * (gradient[i] as number));
    const m = BETA1 * (mean[i] as number) + (1 - BETA1) * g;
    const v = BETA2 * (square[i] as number) + (1 - BETA2) * g * g;
    mean[i] = m;
    square[i] = v;
    theta[i] =
      keep * (theta[i] as number) - (stepSize * m) / (Math.sqrt(v * squareScale) + EPSILON);
  }
}

/** The Euclidean length of a gradient, and what it is multiplied by to be no longer than `maxNorm`. */
export function clipping(
  gradient: Float32Array,
  maxNorm: number,
): { readonly norm: number; readonly scale: number } {
  let sum = 0;
  for (let i = 0; i < gradient.length; i += 1) sum += (gradient[i] as number) ** 2;
  const norm = Math.sqrt(sum);
  return { norm, scale: norm > maxNorm ? maxNorm / norm : 1 };
}
