// Eight-bit weights for serving: a scale and a zero point per output, so that all 256 steps lie between the output's
// least and greatest weight.

import { must } from '../../lib/errors.ts';

/** A quantised matrix, transposed into the layout that the integer kernels multiply by. */
export interface ColumnMatrix {
  /** s8[in, out] */
  readonly values: Int8Array;
  /** f32[out]: weight = (value - zero) * scale */
  readonly scales: Float32Array;
  /** s8[out] */
  readonly zeros: Int8Array;
}

/** Rounds each output's weights to 8 bits: scale = (greatest - least) / 255, where 0 counts as a weight, so that it stays
 *  exactly 0.   weights f32[out, in], all finite */
export function quantiseColumns(
  weights: Float32Array,
  outputs: number,
  inputs: number,
): ColumnMatrix {
  must(weights.length === outputs * inputs || null, `[${outputs}, ${inputs}] weights`);
  const values = new Int8Array(weights.length);
  const scales = new Float32Array(outputs);
  const zeros = new Int8Array(outputs);
  for (let output = 0; output < outputs; output += 1) {
    const row = weights.subarray(output * inputs, (output + 1) * inputs);
    const [least, greatest] = rangeOf(row);
    // an output without weights has any scale
    const scale = Math.fround((greatest - least) / 255) || 1;
    const zero = clamp(Math.round(-128 - least / scale));
    scales[output] = scale;
    zeros[output] = zero;
    for (let input = 0; input < inputs; input += 1)
      values[input * outputs + output] = clamp(Math.round((row[input] as number) / scale) + zero);
  }
  return { values, scales, zeros };
}

/** The least and the greatest of the numbers and 0. */
function rangeOf(row: Float32Array): readonly [number, number] {
  let least = 0;
  let greatest = 0;
  for (const weight of row) {
    if (weight < least) least = weight;
    if (weight > greatest) greatest = weight;
  }
  return [least, greatest];
}

function clamp(value: number): number {
  return Math.max(-128, Math.min(127, value));
}
