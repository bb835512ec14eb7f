import type { EncodableOp } from '../../src/graph/onnx/encodings.ts';
import { ELEMENTWISE_CASES } from './cases/elementwise.ts';
import { GATHER_CASES } from './cases/gather.ts';
import { MATRIX_CASES } from './cases/matrix.ts';
import { RESHAPE_CASES } from './cases/reshape.ts';
import { ROW_CASES } from './cases/rows.ts';
import type { OpCase } from './op-case.ts';

/** Cases for every operator. */
export const OP_CASES: { readonly [K in EncodableOp]: readonly OpCase[] } = {
  ...ELEMENTWISE_CASES,
  ...MATRIX_CASES,
  ...RESHAPE_CASES,
  ...GATHER_CASES,
  ...ROW_CASES,
};
