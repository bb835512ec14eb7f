// How each operator passes a gradient on.

import { ELEMENTWISE_GRADIENTS } from './gradient-rules/elementwise.ts';
import { GATHER_GRADIENTS } from './gradient-rules/gather.ts';
import { MATRIX_GRADIENTS } from './gradient-rules/matrix.ts';
import { NORMALISE_GRADIENTS } from './gradient-rules/normalise.ts';
import { REDUCE_GRADIENTS } from './gradient-rules/reduce.ts';
import { RESHAPE_GRADIENTS } from './gradient-rules/reshape.ts';
import type { GradientRules } from './gradient-rules/rule.ts';

/** The table of all gradient rules. */
export const GRADIENT_RULES: GradientRules = {
  ...ELEMENTWISE_GRADIENTS,
  ...MATRIX_GRADIENTS,
  ...RESHAPE_GRADIENTS,
  ...GATHER_GRADIENTS,
  ...REDUCE_GRADIENTS,
  ...NORMALISE_GRADIENTS,
  CustomGradient: ({ attributes: { name, outputCount, vjp }, inputs }, grads) => {
    const parents = inputs.slice(outputCount);
    const given = vjp(grads);
    if (given.length !== parents.length) {
      throw new Error(`${name} returned ${given.length} gradients for ${parents.length} parents`);
    }
    return [...inputs.slice(0, outputCount).map(() => null), ...given];
  },
};
