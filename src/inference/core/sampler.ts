// Chooses the next token from one row of logits. The choice depends on the logits, the request and the token's place
// in the answer alone: nothing is remembered between calls, so a row may run in any batch and be repeated at will.

/** How a request wants its tokens chosen. */
export interface Sampling {
  /** 0: greedy. */
  readonly temperature: number;
  /** Above 0, at most 1: draw only from the smallest set of most likely tokens that together reach this share. */
  readonly topP: number;
  readonly seed: number;
}

/** The next token's id. `place` counts the answer's tokens from 0 and numbers the random draw.
 *  logits f32[V]. Throws when no logit is a number: the weights or an adapter are broken. */
export function sampleToken(logits: Float32Array, sampling: Sampling, place: number): number {
  const best = argMax(logits);
  if (sampling.temperature === 0) return best;
  const weights = softWeights(logits, logits[best] ?? 0, sampling.temperature);
  const share = uniform(sampling.seed, place);
  if (sampling.topP >= 1) return pick(weights, share);
  const ids = nucleus(weights, sampling.topP);
  const kept = Float64Array.from(ids, (id) => at(weights, id));
  return ids[pick(kept, share)] as number;
}

/** The index of the greatest value, the first of several. */
export function argMax(values: Float32Array): number {
  let best = -1;
  let greatest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] as number;
    if (value > greatest) {
      greatest = value;
      best = i;
    }
  }
  if (best < 0) throw new Error(`none of the ${values.length} logits is a number above -Infinity`);
  return best;
}

/** Number `counter` of the seed's own random sequence, from 0 up to but not including 1; any number can be had without
 *  the ones before it. Source: the 32-bit finaliser of MurmurHash3, chained over the words, as a counter-based generator. */
export function uniform(seed: number, counter: number): number {
  const high = mix(mix(mix(seed) ^ counter) ^ 0x9e3779b9);
  const low = mix(high ^ 0x85ebca6b);
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
}

function mix(word: number): number {
  let h = (word + 0x9e3779b9) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Weights that are proportional to the probabilities; the greatest is 1. */
function softWeights(logits: Float32Array, greatest: number, temperature: number): Float64Array {
  const weights = new Float64Array(logits.length);
  for (let i = 0; i < logits.length; i += 1)
    weights[i] = Math.exp(((logits[i] as number) - greatest) / temperature);
  return weights;
}

/** The smallest set of most likely tokens that reaches the share, most likely first. */
function nucleus(weights: Float64Array, topP: number): readonly number[] {
  const wanted = topP * sum(weights);
  // Sorting a whole vocabulary for each token costs more than the model does: sort the few likely ones, and look
  // further down only while they do not reach the share.
  for (let floor = 1e-3; ; floor = floor > 1e-12 ? floor / 1000 : 0) {
    const kept = likely(weights, floor).sort((a, b) => at(weights, b) - at(weights, a) || a - b);
    let mass = 0;
    for (const [i, id] of kept.entries()) {
      mass += at(weights, id);
      if (mass >= wanted) return kept.slice(0, i + 1);
    }
    if (floor === 0) return kept;
  }
}

function likely(weights: Float64Array, floor: number): number[] {
  const kept: number[] = [];
  for (let i = 0; i < weights.length; i += 1) if (at(weights, i) >= floor) kept.push(i);
  return kept;
}

/** The index at which the running total of the weights passes `share` of their sum. */
function pick(weights: Float64Array, share: number): number {
  let left = share * sum(weights);
  let last = 0;
  for (let i = 0; i < weights.length; i += 1) {
    const weight = at(weights, i);
    if (weight === 0) continue;
    last = i;
    left -= weight;
    if (left < 0) break;
  }
  // rounding can leave a crumb behind the last weight, which then gets it
  return last;
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function at(values: Float64Array, index: number): number {
  return values[index] as number;
}
