import type { OpName, Ops, TensorType } from '../ir.ts';

/** Infers the types of an operator's outputs; throws ShapeError with the reason only. */
type ShapeRule<K extends OpName> = (
  inputs: Ops[K]['inputs'],
  attributes: Ops[K]['attributes'],
) => readonly TensorType[];

/** A shape rule for every operator. */
export type ShapeRules = { readonly [K in OpName]: ShapeRule<K> };
