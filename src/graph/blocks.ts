// Pieces of a language model with gradients cheaper than those of the operators they are made of.

import { must } from '../lib/errors.ts';
import { customGradient } from './custom-gradient.ts';
import type { Tensor } from './ir.ts';
import { add, log, mul, sigmoid, silu, sub } from './ops/elementwise.ts';
import { gather } from './ops/gather.ts';
import { matmul } from './ops/matrix.ts';
import { softmax } from './ops/normalise.ts';
import { reduceMax, reduceSum } from './ops/reduce.ts';
import { concat, split } from './ops/reshape.ts';
import { staticShape } from './tensor.ts';

/** silu(gate) * up, the gated activation of Llama's feed-forward layer.
 *  gate, up, result: one shape. Only gate and up are kept for the gradient: two passes more on the way back, but in training these
 *  are the largest tensors, and what is kept has left the cache by then. */
export function swiglu(gate: Tensor, up: Tensor): Tensor {
  const [y] = customGradient({
    name: 'swiglu',
    outputs: [mul(silu(gate), up)],
    parents: [gate, up],
    vjp: ([g]) => {
      const dy = must(g, 'one output');
      const s = sigmoid(gate);
      const activated = mul(gate, s);
      // silu' = s + gate s (1 - s) = s (1 - silu) + silu
      const slope = add(mul(s, sub(1, activated)), activated);
      return [mul(mul(dy, up), slope), mul(dy, activated)];
    },
  });
  return must(y, 'one output');
}

/** What tokenLogProb needs besides the hidden states. */
export interface TokenHead {
  /** Rows of the output layer, f32[V, H]. */
  readonly head: Tensor;
  /** The token at each position, i64[M]. */
  readonly targets: Tensor;
  /** Positions per product with the head (default: all). Smaller chunks hold fewer logits at a time; must divide M. */
  readonly rowsPerChunk?: number;
  /** Another way to compute x head^T, for example from 8-bit weights: f32[M, H] to f32[M, V]. */
  readonly project?: (x: Tensor) => Tensor;
  /** Another way to compute p head for the gradient: f32[M, V] to f32[M, H]. */
  readonly projectBack?: (p: Tensor) => Tensor;
}

/** The natural logarithm of the probability that softmax(hidden head^T) gives to each target; the head is frozen.
 *  hidden f32[M, H]   returns f32[M, 1]
 *  The gradient is g (head[target] - p head), so that no [M, V] tensor of gradients is ever made. */
export function tokenLogProb(hidden: Tensor, options: TokenHead): Tensor {
  const { head, targets, rowsPerChunk } = options;
  const {
    project = (x: Tensor) => matmul(x, head, { transB: true }),
    projectBack = (p: Tensor) => matmul(p, head),
  } = options;
  const targetRows = gather(head, targets);
  const targetLogits = reduceSum(mul(hidden, targetRows), [1]);
  const chunks = chunkRows(hidden, rowsPerChunk).map((rows) => logSumExp(project(rows)));
  const logProbs = sub(targetLogits, join(chunks.map(({ value }) => value)));
  const [y] = customGradient({
    name: 'tokenLogProb',
    outputs: [logProbs],
    parents: [hidden],
    vjp: ([g]) => {
      const expected = join(chunks.map(({ probabilities }) => projectBack(probabilities)));
      return [mul(must(g, 'one output'), sub(targetRows, expected))];
    },
  });
  return must(y, 'one output');
}

/** log(sum(e^x)) over the last axis, [M, 1], and softmax(x). The largest probability is e^max / sum, hence the sum. */
function logSumExp(x: Tensor): { readonly value: Tensor; readonly probabilities: Tensor } {
  const probabilities = softmax(x);
  const value = sub(reduceMax(x, [-1]), log(reduceMax(probabilities, [-1])));
  return { value, probabilities };
}

function chunkRows(x: Tensor, rowsPerChunk: number | undefined): readonly Tensor[] {
  if (rowsPerChunk === undefined) return [x];
  const [rows = 0] = staticShape(x.shape.slice(0, 1));
  if (rows % rowsPerChunk !== 0) {
    throw new RangeError(`rowsPerChunk ${rowsPerChunk} does not divide ${rows} rows`);
  }
  const sizes = Array.from({ length: rows / rowsPerChunk }, () => rowsPerChunk);
  return sizes.length > 1 ? split(x, sizes, 0) : [x];
}

const join = (chunks: readonly Tensor[]): Tensor => {
  const [only, ...others] = chunks;
  return only && others.length === 0 ? only : concat(chunks, 0);
};
