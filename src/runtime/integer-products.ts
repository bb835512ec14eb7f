// Finds out whether this machine multiplies 8-bit integers exactly. On x86 processors without the VNNI instructions the
// kernels for signed weights add pairs of products in 16 bits, and saturate; those for unsigned ones do not.

import { buildGraph } from '../graph/graph.ts';
import { encodeOnnx } from '../graph/onnx/encode.ts';
import { matmulIntegerToFloat } from '../graph/ops/matrix.ts';
import { constant, f32, input, scalar } from '../graph/tensor.ts';
import { must } from '../lib/errors.ts';
import { hostTensor } from './host-tensor.ts';
import { openSession } from './session.ts';

const K = 64;
const N = 32;
const GREATEST_INPUT = 255;
const GREATEST_WEIGHT = 127;

/** The integers that weights must be on this machine for products to be exact: the fast signed ones if possible. */
export async function exactWeightSign(): Promise<'i8' | 'u8'> {
  const isExact = (await productOfGreatest(1)) && (await productOfGreatest(8));
  return isExact ? 'i8' : 'u8';
}

/** Whether the greatest possible product comes out right for so many rows: one row has kernels of its own. */
async function productOfGreatest(rows: number): Promise<boolean> {
  const weights = constant('i8', [K, N], new Int8Array(K * N).fill(GREATEST_WEIGHT));
  const y = matmulIntegerToFloat(input('x', 'u8', ['M', K]), weights, {
    aScale: scalar(1),
    bScale: f32([N], new Float32Array(N).fill(1)),
    aZero: constant('u8', [], [0]),
  });
  const session = await openSession(encodeOnnx(buildGraph('greatest', { y })));
  const x = hostTensor(new Uint8Array(rows * K).fill(GREATEST_INPUT), [rows, K]);
  const products = must((await session.run({ x })).y, 'products').data as Float32Array;
  await session.close();
  return products.every((product) => product === K * GREATEST_INPUT * GREATEST_WEIGHT);
}
