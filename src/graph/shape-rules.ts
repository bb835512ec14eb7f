// What each operator requires of its inputs, and the dtype and shape of its outputs.

import { ELEMENTWISE_SHAPES } from './shape-rules/elementwise.ts';
import { GATHER_SHAPES } from './shape-rules/gather.ts';
import { MATRIX_SHAPES } from './shape-rules/matrix.ts';
import { NORMALISE_SHAPES } from './shape-rules/normalise.ts';
import { REDUCE_SHAPES } from './shape-rules/reduce.ts';
import { RESHAPE_SHAPES } from './shape-rules/reshape.ts';
import type { ShapeRules } from './shape-rules/rule.ts';

/** The table of all shape rules. */
export const SHAPE_RULES: ShapeRules = {
  ...ELEMENTWISE_SHAPES,
  ...MATRIX_SHAPES,
  ...RESHAPE_SHAPES,
  ...GATHER_SHAPES,
  ...REDUCE_SHAPES,
  ...NORMALISE_SHAPES,
  CustomGradient: (inputs, { outputCount }) =>
    inputs.slice(0, outputCount).map(({ dtype, shape, contents }) => ({ dtype, shape, contents })),
};
