import { describe, expect, it } from 'vitest';
import { customGradient, stopGradient } from '../../src/graph/custom-gradient.ts';
import { gradients } from '../../src/graph/gradients.ts';
import type { Tensor } from '../../src/graph/ir.ts';
import { add, cast, mul } from '../../src/graph/ops/elementwise.ts';
import { matmul } from '../../src/graph/ops/matrix.ts';
import { dequantizeLinear, quantizeLinear } from '../../src/graph/ops/quantise.ts';
import { sumAll } from '../../src/graph/ops/reduce.ts';
import { f32, input, scalar } from '../../src/graph/tensor.ts';
import { must } from '../../src/lib/errors.ts';
import { hostTensor } from '../../src/runtime/host-tensor.ts';
import { runGraph } from './run-graph.ts';

const x = input('x', 'f32', [1, 2]);
const feeds = { x: hostTensor(Float32Array.of(3, -4), [1, 2]) };

const only = (tensors: readonly Tensor[]): Tensor => must(tensors[0], 'one tensor');

describe('a custom gradient', () => {
  it('keeps the values and replaces the derivative', async () => {
    const forward = f32([2, 2], [1, 2, 3, 4]);
    const backward = f32([2, 2], [10, 30, 20, 40]);
    const y = only(
      customGradient({
        name: 'frozen linear layer',
        outputs: [matmul(x, forward)],
        parents: [x],
        vjp: (grads) => [matmul(only(grads), backward)],
      }),
    );
    const [value, dx] = await runGraph([y, ...gradients(sumAll(y), [x])], feeds);
    expect(Array.from(value?.data ?? [], Number)).toEqual([-9, -10]);
    expect(Array.from(dx?.data ?? [], Number)).toEqual([30, 70]);
  });

  it('lets a gradient through operators that have none', async () => {
    const rounded = dequantizeLinear(quantizeLinear(x, scalar(1), scalar(0, 'i8')), scalar(1));
    const y = only(
      customGradient({
        name: 'straight through',
        outputs: [rounded],
        parents: [x],
        vjp: (grads) => grads,
      }),
    );
    const [dx] = await runGraph(gradients(sumAll(mul(y, 2)), [x]), feeds);
    expect(Array.from(dx?.data ?? [], Number)).toEqual([2, 2]);
  });

  it('gives zeros for outputs that the loss does not use, and sums what was broadcast', async () => {
    const bias = input('bias', 'f32', [1, 1]);
    const [first] = customGradient({
      name: 'two sums',
      outputs: [add(x, bias), mul(x, bias)],
      parents: [x, bias],
      vjp: ([g, h]) => [add(must(g, 'two'), must(h, 'two')), must(g, 'two')],
    });
    const loss = sumAll(mul(must(first, 'two outputs'), f32([1, 2], [5, 7])));
    const all = { ...feeds, bias: hostTensor(Float32Array.of(1), [1, 1]) };
    const [dx, dbias] = await runGraph(gradients(loss, [x, bias]), all);
    expect(Array.from(dx?.data ?? [], Number)).toEqual([5, 7]);
    expect(Array.from(dbias?.data ?? [], Number)).toEqual([12]);
  });

  it('is refused by name when it returns another number of gradients than it has parents', () => {
    const y = only(
      customGradient({ name: 'lost one', outputs: [mul(x, 2)], parents: [x], vjp: () => [] }),
    );
    expect(() => gradients(sumAll(y), [x])).toThrow(
      'gradient of lost one(f32[1, 2], f32[1, 2]): lost one returned 0 gradients for 1 parents',
    );
  });

  it('is refused when a gradient does not have the shape of its parent', () => {
    const y = only(
      customGradient({
        name: 'turned',
        outputs: [mul(x, 2)],
        parents: [x],
        vjp: () => [f32([3], [1, 2, 3])],
      }),
    );
    expect(() => gradients(sumAll(y), [x])).toThrow('which does not sum to its shape');
  });
});

describe('stopGradient', () => {
  it('keeps the value and ends the gradient there', async () => {
    const y = mul(x, stopGradient(x));
    const [value, dx] = await runGraph([y, ...gradients(sumAll(y), [x])], feeds);
    expect(Array.from(value?.data ?? [], Number)).toEqual([9, 16]);
    expect(Array.from(dx?.data ?? [], Number)).toEqual([3, -4]);
  });

  it('makes a value through whole numbers usable', async () => {
    const loss = sumAll(mul(x, cast(cast(stopGradient(x), 'i32'), 'f32')));
    const [dx] = await runGraph(gradients(loss, [x]), feeds);
    expect(Array.from(dx?.data ?? [], Number)).toEqual([3, -4]);
  });
});
