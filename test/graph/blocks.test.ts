import { describe, expect, it } from 'vitest';
import { swiglu, tokenLogProb } from '../../src/graph/blocks.ts';
import { gradients } from '../../src/graph/gradients.ts';
import type { Tensor } from '../../src/graph/ir.ts';
import { log, mul, sigmoid } from '../../src/graph/ops/elementwise.ts';
import { gatherElements } from '../../src/graph/ops/gather.ts';
import { matmul } from '../../src/graph/ops/matrix.ts';
import { softmax } from '../../src/graph/ops/normalise.ts';
import { sumAll } from '../../src/graph/ops/reduce.ts';
import { unsqueeze } from '../../src/graph/ops/reshape.ts';
import { must } from '../../src/lib/errors.ts';
import { frozen, hostFeeds, index, type OpCase, opCase, real, referenceFeeds } from './op-case.ts';
import { evaluate } from './reference/evaluate.ts';
import { expectClose, runGraph } from './run-graph.ts';

/** Expects a block and the plain operators that it stands for to agree, in value and gradient. */
async function expectSame(
  block: (...tensors: Tensor[]) => Tensor,
  plain: (...tensors: Tensor[]) => Tensor,
  inputs: OpCase['inputs'],
): Promise<void> {
  const { outputs, params } = opCase('both', inputs, (...xs) => [block(...xs), plain(...xs)]);
  const [fromBlock, fromPlain] = outputs.map((y) => [y, ...gradients(sumAll(mul(y, y)), params)]);
  const results = await runGraph(must(fromBlock, 'the block'), hostFeeds(inputs));
  const expected = evaluate(must(fromPlain, 'the operators'), referenceFeeds(inputs));
  results.forEach((result, at) => {
    expectClose(result, must(expected[at], 'a reference'), 1e-5);
  });
}

describe('swiglu', () => {
  it('is silu(gate) * up, in value and gradient', async () => {
    const plain = (gate: Tensor, up: Tensor): Tensor => mul(mul(gate, sigmoid(gate)), up);
    await expectSame(swiglu, plain, [real(2, 6), real(2, 6)]);
  });
});

describe('tokenLogProb', () => {
  const inputs = [real(4, 6), frozen(real(9, 6)), index(9, 4)];
  const plain = (hidden: Tensor, head: Tensor, targets: Tensor): Tensor =>
    log(
      gatherElements(softmax(matmul(hidden, head, { transB: true })), unsqueeze(targets, [1]), 1),
    );

  it('is the log of the softmax at the target, in value and gradient', async () => {
    await expectSame(
      (hidden, head, targets) => tokenLogProb(hidden, { head, targets }),
      plain,
      inputs,
    );
  });

  it('is the same in chunks of rows', async () => {
    const chunked = (hidden: Tensor, head: Tensor, targets: Tensor): Tensor =>
      tokenLogProb(hidden, { head, targets, rowsPerChunk: 2 });
    await expectSame(chunked, plain, inputs);
  });

  it('stays finite for logits that overflow an exponential', async () => {
    const large = [
      opCase('', inputs, (hidden, head, targets) =>
        tokenLogProb(mul(hidden, 1000), { head, targets }),
      ),
    ];
    const [result] = await runGraph(must(large[0], 'a case').outputs, hostFeeds(inputs));
    expect(Array.from(result?.data ?? [], Number).every(Number.isFinite)).toBe(true);
  });

  it('projects by the given products', async () => {
    const [hidden, head, targets] = opCase('', inputs, (...xs) => xs).outputs;
    const logProb = tokenLogProb(must(hidden, 'hidden'), {
      head: must(head, 'head'),
      targets: must(targets, 'targets'),
      project: (x) => mul(matmul(x, must(head, 'head'), { transB: true }), 0),
      projectBack: (p) => mul(matmul(p, must(head, 'head')), 0),
    });
    const [dHidden] = gradients(sumAll(logProb), [must(hidden, 'hidden')]);
    const [result] = await runGraph([must(dHidden, 'a gradient')], hostFeeds(inputs));
    // No projection back leaves the row of the target itself.
    const [, table, ids] = inputs.map(({ array }) => array.data);
    const row = must(ids, 'targets').flatMap((id) => must(table, 'head').slice(id * 6, id * 6 + 6));
    expectClose(must(result, 'a gradient'), { dims: [4, 6], data: row }, 1e-6);
  });

  it('refuses chunks that do not divide the rows', () => {
    const [hidden, head, targets] = opCase('', inputs, (...xs) => xs).outputs;
    const chunked = () =>
      tokenLogProb(must(hidden, 'hidden'), {
        head: must(head, 'head'),
        targets: must(targets, 'targets'),
        rowsPerChunk: 3,
      });
    expect(chunked).toThrow('rowsPerChunk 3 does not divide 4 rows');
  });
});
