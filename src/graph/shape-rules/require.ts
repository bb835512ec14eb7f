// What shape rules ask of their inputs. A failure is a ShapeError that says only what is wrong; makeNode adds the
// operator and its inputs.

import { type Dim, formatShape, type Shape, sameShape } from '../dim.ts';
import { DTYPES, type DType } from '../dtype.ts';
import type { Tensor } from '../ir.ts';
import { ShapeError } from '../shape-error.ts';

/** Refuses the inputs of an operator. */
export function reject(reason: string): never {
  throw new ShapeError(reason);
}

/** The tensor must have one of the element types. */
export function requireDType(tensor: Tensor, name: string, dtypes: readonly DType[]): void {
  if (!dtypes.includes(tensor.dtype)) {
    reject(`${name} must be ${dtypes.join(' or ')}, but is ${tensor.dtype}`);
  }
}

/** The tensor must hold floating-point numbers. */
export function requireFloat(tensor: Tensor, name: string): void {
  if (!DTYPES[tensor.dtype].isFloat)
    reject(`${name} must be of a float type, but is ${tensor.dtype}`);
}

/** Both tensors must have the same element type. */
export function requireSameDType(a: Tensor, b: Tensor): void {
  if (a.dtype !== b.dtype) reject(`element types ${a.dtype} and ${b.dtype} differ`);
}

/** The tensor must have this shape. */
export function requireShape(tensor: Tensor, name: string, shape: Shape): void {
  if (!sameShape(tensor.shape, shape)) {
    reject(`${name} must have shape ${formatShape(shape)}, but has ${formatShape(tensor.shape)}`);
  }
}

/** The dimension at `axis`, which must lie within the shape. */
export function dimAt(shape: Shape, axis: number): Dim {
  return shape[axis] ?? reject(`axis ${axis} is outside of shape ${formatShape(shape)}`);
}

/** The known elements of an i64 vector. */
export function requireContents(tensor: Tensor, name: string): readonly Dim[] {
  requireDType(tensor, name, ['i64']);
  return (
    tensor.contents ??
    reject(`${name} must be known: a constant, or made of sizeOf, shapeOf and concat`)
  );
}

/** The known elements of a vector of axes: whole numbers within a rank, none twice. */
export function requireAxes(tensor: Tensor, rank: number): readonly number[] {
  const axes = requireContents(tensor, 'axes').map((axis) =>
    typeof axis === 'number' && axis >= 0 && axis < rank
      ? axis
      : reject(`axis ${axis} is outside of rank ${rank}`),
  );
  if (new Set(axes).size !== axes.length) reject(`axes ${formatShape(axes)} name one axis twice`);
  return axes;
}

/** The shape that both shapes broadcast to, by the rule of numpy: aligned at the end, a dimension of 1 stretches. */
export function broadcastShapes(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left === right || right === 1) return left;
    if (left === 1) return right;
    return reject(`dimensions ${left} and ${right} do not broadcast`);
  });
}
