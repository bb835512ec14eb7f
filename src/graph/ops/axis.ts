import { formatShape } from '../dim.ts';
import type { Tensor } from '../ir.ts';
import { ShapeError } from '../shape-error.ts';

/** The axis counted from the front: -1 becomes rank - 1. `extra` axes may lie beyond the rank, for Unsqueeze. */
export function frontAxis(x: Tensor, axis: number, extra = 0): number {
  const rank = x.shape.length + extra;
  const front = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(front) || front < 0 || front >= rank) {
    throw new ShapeError(`axis ${axis} is outside of shape ${formatShape(x.shape)}`);
  }
  return front;
}
