import { formatShape } from './dim.ts';
import type { TensorType } from './ir.ts';

/** An operator was given tensors that it does not take. The message names the operator, its inputs and what is wrong. */
export class ShapeError extends Error {
  override name = 'ShapeError';
}

/** `f32[B, S, 64]`. */
export function formatType(type: TensorType): string {
  return `${type.dtype}${formatShape(type.shape)}`;
}
