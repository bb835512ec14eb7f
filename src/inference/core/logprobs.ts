// How likely the model found its tokens: natural logarithms of the softmax of its logits, before temperature, top-p or
// anything else that narrows the choice.

/** A token's text by itself, with the logarithm of its probability. Part of a character shows as U+FFFD, an end token
 *  as nothing. */
export interface Logprob {
  readonly token: string;
  readonly logprob: number;
}

/** A token that was written, and the likeliest ones at its place, the likeliest first. */
export interface TokenLogprob extends Logprob {
  readonly topLogprobs: readonly Logprob[];
}

/** The chosen token and the `count` likeliest ones.   logits f32[V] */
export function tokenLogprob(
  logits: Float32Array,
  chosen: number,
  { count, textOf }: { readonly count: number; readonly textOf: (id: number) => string },
): TokenLogprob {
  const total = logSumExp(logits);
  const of = (id: number) => ({ token: textOf(id), logprob: (logits[id] as number) - total });
  return { ...of(chosen), topLogprobs: greatest(logits, count).map(of) };
}

function logSumExp(logits: Float32Array): number {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  return largest + Math.log(sum);
}

/** The indices of the `count` greatest values, the greatest first, the lower index first among equals. */
function greatest(values: Float32Array, count: number): readonly number[] {
  const best: number[] = [];
  const valueAt = (i: number) => values[i] as number;
  for (let i = 0; i < values.length; i += 1) {
    const last = best.at(-1);
    const isBetter = last === undefined || valueAt(i) > valueAt(last);
    if (!(isBetter || best.length < count)) continue;
    const place = best.findIndex((other) => valueAt(i) > valueAt(other));
    best.splice(place < 0 ? best.length : place, 0, i);
    if (best.length > count) best.pop();
  }
  return best;
}
