import { expect } from 'vitest';
import { buildGraph } from '../../src/graph/graph.ts';
import type { Tensor } from '../../src/graph/ir.ts';
import { encodeOnnx } from '../../src/graph/onnx/encode.ts';
import { shareSubexpressions } from '../../src/graph/share-subexpressions.ts';
import { verify } from '../../src/graph/verify.ts';
import { must } from '../../src/lib/errors.ts';
import type { HostTensor } from '../../src/runtime/host-tensor.ts';
import { openSession } from '../../src/runtime/session.ts';
import type { NdArray } from './reference/array.ts';

/** Builds a graph of the tensors, verifies it after every pass, and runs it in ONNX Runtime. */
export async function runGraph(
  outputs: readonly Tensor[],
  feeds: Readonly<Record<string, HostTensor>>,
): Promise<readonly HostTensor[]> {
  const named = Object.fromEntries(outputs.map((tensor, at) => [`y${at}`, tensor]));
  const graph = buildGraph('test', named);
  verify(graph);
  const shared = shareSubexpressions(graph);
  verify(shared);
  const session = await openSession(encodeOnnx(shared));
  try {
    const used = Object.entries(feeds).filter(([name]) => session.inputs.has(name));
    const results = await session.run(Object.fromEntries(used));
    return outputs.map((_, at) => must(results[`y${at}`], `output ${at}`));
  } finally {
    await session.close();
  }
}

interface Elements {
  readonly dims: readonly number[];
  readonly data: ArrayLike<number | bigint>;
}

/** Expects equal dimensions, and elements within `tolerance` relative to 1 + their size. */
export function expectClose(actual: Elements, expected: NdArray, tolerance: number): void {
  expect(actual.dims).toEqual(expected.dims);
  const differences = expected.data.map(
    (value, at) => Math.abs(Number(actual.data[at]) - value) / (1 + Math.abs(value)),
  );
  // NaN must fail, so count what is within bounds.
  const close = differences.filter((difference) => difference <= tolerance);
  expect(
    close.length,
    `of ${differences.length} elements within ${tolerance}; ${differences}`,
  ).toBe(expected.data.length);
}
