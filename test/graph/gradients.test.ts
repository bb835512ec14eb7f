import { describe, expect, it } from 'vitest';
import { DTYPES } from '../../src/graph/dtype.ts';
import { NOT_DIFFERENTIABLE } from '../../src/graph/gradient-rules/rule.ts';
import { GRADIENT_RULES } from '../../src/graph/gradient-rules.ts';
import { gradients } from '../../src/graph/gradients.ts';
import type { Tensor } from '../../src/graph/ir.ts';
import type { EncodableOp } from '../../src/graph/onnx/encodings.ts';
import { add, cast, exp, greater, mul, where } from '../../src/graph/ops/elementwise.ts';
import { reduceMax, reduceMean, sumAll } from '../../src/graph/ops/reduce.ts';
import { reshape, transpose } from '../../src/graph/ops/reshape.ts';
import { input } from '../../src/graph/tensor.ts';
import { topologyOf } from '../../src/graph/topology.ts';
import { must } from '../../src/lib/errors.ts';
import { hostTensor } from '../../src/runtime/host-tensor.ts';
import { hostFeeds, type OpCase, referenceFeeds } from './op-case.ts';
import { OP_CASES } from './op-cases.ts';
import type { NdArray } from './reference/array.ts';
import { evaluate } from './reference/evaluate.ts';
import { expectClose, runGraph } from './run-graph.ts';

/** One number that depends on every element of every float output, each with a slope of its own. */
function lossOf(outputs: readonly Tensor[]): Tensor {
  const parts = outputs
    .filter(({ dtype }) => DTYPES[dtype].isFloat)
    .map((y, at) => sumAll(mul(add(mul(y, 0.3), 0.7 + at), y)));
  return parts.reduce((total, part) => add(total, part));
}

/** Central differences of the reference, error of order step^2. */
function differences({ inputs }: OpCase, loss: Tensor, param: Tensor): NdArray {
  const name = must('name' in param.origin ? param.origin.name : undefined, 'a named input');
  const array = must(referenceFeeds(inputs).get(name), 'its elements');
  const step = 1e-5;
  const lossAt = (element: number, by: number): number =>
    must(evaluate([loss], referenceFeeds(inputs, { name, element, by }))[0]?.data[0], 'a loss');
  const data = array.data.map(
    (_, element) => (lossAt(element, step) - lossAt(element, -step)) / (2 * step),
  );
  return { dims: array.dims, data };
}

const names = Object.keys(OP_CASES) as EncodableOp[];
const takesGradient = (c: OpCase): boolean =>
  c.params.length > 0 && c.outputs.some(({ dtype }) => DTYPES[dtype].isFloat);
const differentiable = names.flatMap((op) =>
  GRADIENT_RULES[op] === NOT_DIFFERENTIABLE
    ? []
    : OP_CASES[op].filter(takesGradient).map((c) => [op, c.name, c] as const),
);

describe('the gradient', () => {
  it.each(differentiable)('of %s agrees with central differences %s', async (_, __, c) => {
    const loss = lossOf(c.outputs);
    const grads = gradients(loss, c.params);
    const exact = evaluate(grads, referenceFeeds(c.inputs));
    const run = await runGraph(grads, hostFeeds(c.inputs));
    c.params.forEach((param, at) => {
      const expected = differences(c, loss, param);
      expectClose(must(exact[at], 'a gradient for every parameter'), expected, 1e-7);
      expectClose(must(run[at], 'a gradient for every parameter'), expected, 1e-4);
    });
  });

  const passing = names.filter((op) => GRADIENT_RULES[op] === NOT_DIFFERENTIABLE);
  const x = input('x', 'f32', [2, 2]);

  it.each(passing)('of %s is refused, not taken for zero, when it is asked for', (op) => {
    const quantised = OP_CASES[op].flatMap(({ outputs, inputs }) =>
      outputs.filter((y) => DTYPES[y.dtype].isFloat && inputs.length > 0),
    );
    for (const y of quantised) {
      const [source] = topologyOf([y]).leaves;
      expect(() => gradients(sumAll(y), [must(source, 'an input')])).toThrow('not differentiable');
    }
  });

  it('of a value that passed through whole numbers is refused', () => {
    const loss = sumAll(cast(cast(x, 'i32'), 'f32'));
    expect(() => gradients(loss, [x])).toThrow(
      'gradient of Cast(i32[2, 2]): i32 is not differentiable',
    );
  });

  it('does not flow through conditions', async () => {
    const loss = sumAll(where(greater(x, 0), mul(x, 3), x));
    const [dx] = await runGraph(gradients(loss, [x]), {
      x: hostTensor(Float32Array.of(-1, 2, -3, 4), [2, 2]),
    });
    expect(Array.from(dx?.data ?? [], Number)).toEqual([1, 3, 1, 3]);
  });

  it('reads sizes from the inputs, so that it keeps no forward value in memory for its shape', () => {
    const h = input('h', 'f32', ['B', 'S', 6]);
    const rows = reshape(exp(h), [-1, 6]);
    const heads = transpose(reshape(exp(rows), ['B', 'S', 2, 3]), [0, 2, 1, 3]);
    const loss = sumAll(reduceMean(reduceMax(heads, [-1], { keepDims: false }), [0, 2]));
    const measured = topologyOf(gradients(loss, [h])).nodes.filter(({ op }) => op === 'Shape');
    expect(measured.length).toBeGreaterThan(0);
    expect(measured.map(({ inputs }) => inputs[0])).toEqual(measured.map(() => h));
  });

  it('adds up over all uses of a parameter', async () => {
    const loss = sumAll(add(mul(x, x), mul(x, 5)));
    const [dx] = await runGraph(gradients(loss, [x]), {
      x: hostTensor(Float32Array.of(-1, 2, -3, 4), [2, 2]),
    });
    expect(Array.from(dx?.data ?? [], Number)).toEqual([3, 9, -1, 13]);
  });

  it('can be taken for a value in the middle, and for one that it depends on, at once', async () => {
    const y = mul(x, 2);
    const loss = sumAll(mul(y, y));
    const [dy, dx] = await runGraph(gradients(loss, [y, x]), {
      x: hostTensor(Float32Array.of(-1, 2, -3, 4), [2, 2]),
    });
    expect(Array.from(dy?.data ?? [], Number)).toEqual([-4, 8, -12, 16]);
    expect(Array.from(dx?.data ?? [], Number)).toEqual([-8, 16, -24, 32]);
  });

  it('is refused for a parameter that the loss does not depend on', () => {
    const other = input('other', 'f32', [3]);
    expect(() => gradients(sumAll(x), [x, other])).toThrow(
      'does not depend on parameter 1, f32[3]',
    );
  });

  it('is refused for a loss of more than one element', () => {
    expect(() => gradients(x, [x])).toThrow('the loss must be one f32, but is f32[2, 2]');
  });
});
