// Eight-bit weights: one scale per output of a linear layer, symmetric around zero.

import { must } from '../../lib/errors.ts';

/** A quantised matrix, transposed into the layout that the integer kernels multiply by. */
export interface QuantisedMatrix {
  /** s8[in, out], each within -127..127 */
  readonly values: Int8Array;
  /** f32[out]: weight = value * scale */
  readonly scales: Float32Array;
}

/** Rounds each output's weights to 8 bits: scale = max |w| / 127, value = round(w / scale), ties to even.
 *  weights f32[out, in]. An output without weights other than zero has scale 0. Throws on a NaN or an infinity, which
 *  would turn into plausible numbers. */
export function quantiseRows(
  weights: Float32Array,
  outputs: number,
  inputs: number,
): QuantisedMatrix {
  must(weights.length === outputs * inputs || null, `[${outputs}, ${inputs}] weights`);
  const values = new Int8Array(weights.length);
  const scales = new Float32Array(outputs);
  for (let output = 0; output < outputs; output += 1) {
    const row = weights.subarray(output * inputs, (output + 1) * inputs);
    const scale = Math.fround(largestMagnitude(row, output) / 127);
    scales[output] = scale;
    if (scale === 0) continue;
    for (let input = 0; input < inputs; input += 1) {
      const value = roundToEven((row[input] as number) / scale);
      // a scale that was rounded down can push the largest weight just over the edge
      values[input * outputs + output] = Math.max(-127, Math.min(127, value));
    }
  }
  return { values, scales };
}

function largestMagnitude(row: Float32Array, output: number): number {
  let largest = 0;
  for (const weight of row) {
    if (!Number.isFinite(weight)) throw new Error(`output ${output} has the weight ${weight}`);
    largest = Math.max(largest, Math.abs(weight));
  }
  return largest;
}

function roundToEven(value: number): number {
  const rounded = Math.round(value);
  const isTie = Math.abs(value % 1) === 0.5;
  return isTie && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
