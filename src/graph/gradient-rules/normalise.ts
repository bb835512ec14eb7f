import type { Tensor } from '../ir.ts';
import { add, mul, neg, reciprocal, sqrt, sub } from '../ops/elementwise.ts';
import { rotaryEmbedding } from '../ops/normalise.ts';
import { reduceMean, reduceSum } from '../ops/reduce.ts';
import type { GradientRules } from './rule.ts';

/** Gradients of y = x r gain, where r = 1 / rms(x) over `axes`: dx = r (g gain - x r^2 mean(g gain x)), dgain = g x r. */
function rmsNormGradients(
  x: Tensor,
  gain: Tensor,
  { inverseRms: r, axes, g }: { inverseRms: Tensor; axes: readonly number[]; g: Tensor },
): [dx: Tensor, dgain: Tensor] {
  const scaled = mul(g, gain);
  const along = mul(reduceMean(mul(scaled, x), axes), mul(r, r));
  return [mul(sub(scaled, mul(x, along)), r), mul(mul(g, x), r)];
}

/** Gradient rules of the operators that work on whole rows. */
export const NORMALISE_GRADIENTS = {
  Softmax: ({ attributes: { axis }, outputs: [y] }, [g]) => [
    mul(y, sub(g, reduceSum(mul(g, y), [axis]))),
  ],
  // The second output is for this rule alone: no gradient comes from it.
  SimplifiedLayerNormalization: ({ inputs: [x, gain], attributes, outputs }, [g]) => {
    const axes = x.shape.map((_, axis) => axis).slice(attributes.axis);
    return rmsNormGradients(x, gain, { inverseRms: outputs[1], axes, g });
  },
  SkipSimplifiedLayerNormalization: ({ inputs, attributes: { epsilon }, outputs }, [g, gSum]) => {
    const [, , gain] = inputs;
    const [, sum] = outputs;
    const axes = [-1];
    const inverseRms = reciprocal(sqrt(add(reduceMean(mul(sum, sum), axes), epsilon)));
    const [dSum, dgain] = rmsNormGradients(sum, gain, { inverseRms, axes, g });
    const both = add(dSum, gSum);
    return [both, both, dgain];
  },
  // Turning back: a rotation's transpose is the rotation by the opposite angle. The tables are constants.
  RotaryEmbedding: ({ inputs: [, positions, cos, sin], attributes: { interleaved } }, [g]) => [
    rotaryEmbedding(g, { positions, cos, sin: neg(sin), interleaved }),
    null,
    null,
    null,
  ],
} satisfies Partial<GradientRules>;
