import type { Tensor } from '../ir.ts';
import { mul } from '../ops/elementwise.ts';
import { matmul } from '../ops/matrix.ts';
import { reshape } from '../ops/reshape.ts';
import { type GradientRules, NOT_DIFFERENTIABLE } from './rule.ts';

interface Product {
  readonly transA: boolean;
  readonly transB: boolean;
  readonly alpha: number;
}

/** Gradients of alpha * op(a) op(b). */
function productGradients(a: Tensor, b: Tensor, g: Tensor, product: Product): [Tensor, Tensor] {
  const { transA, transB, alpha } = product;
  const da = transA
    ? matmul(b, g, { transA: transB, transB: true, alpha })
    : matmul(g, b, { transB: !transB, alpha });
  const db = transB
    ? matmul(g, a, { transA: true, transB: transA, alpha })
    : matmul(a, g, { transA: !transA, alpha });
  return [da, db];
}

/** A matrix applied to many: as one product over all rows, so that its gradient is not made once per batch and then summed. */
function sharedMatrixGradients(
  a: Tensor,
  b: Tensor,
  g: Tensor,
  product: Product,
): [Tensor, Tensor] {
  const [da] = productGradients(a, b, g, product);
  const [, db] = productGradients(flattenRows(a), b, flattenRows(g), product);
  return [da, db];
}

const flattenRows = (x: Tensor): Tensor => reshape(x, [-1, x.shape.at(-1) ?? 1]);

function gradientsOf(a: Tensor, b: Tensor, g: Tensor, product: Product): [Tensor, Tensor] {
  const isShared = b.shape.length === 2 && a.shape.length > 2 && !product.transA;
  return (isShared ? sharedMatrixGradients : productGradients)(a, b, g, product);
}

/** Gradient rules of matrix products. Quantised ones have none: give them one with customGradient. */
export const MATRIX_GRADIENTS = {
  MatMul: ({ inputs: [a, b] }, [g]) =>
    gradientsOf(a, b, g, { transA: false, transB: false, alpha: 1 }),
  FusedMatMul: ({ inputs: [a, b], attributes }, [g]) => gradientsOf(a, b, g, attributes),
  Gemm: ({ inputs: [a, b, c], attributes }, [g]) => [
    ...productGradients(a, b, g, attributes),
    c && (attributes.beta === 1 ? g : mul(g, attributes.beta)),
  ],
  MatMulInteger: NOT_DIFFERENTIABLE,
  MatMulIntegerToFloat: NOT_DIFFERENTIABLE,
  MatMulNBits: NOT_DIFFERENTIABLE,
  QuantizeLinear: NOT_DIFFERENTIABLE,
  DequantizeLinear: NOT_DIFFERENTIABLE,
} satisfies Partial<GradientRules>;
