import { describe, expect, it } from 'vitest';
import { sameShape } from '../../src/graph/dim.ts';
import { must } from '../../src/lib/errors.ts';
import { hostFeeds, referenceFeeds } from './op-case.ts';
import { OP_CASES } from './op-cases.ts';
import { evaluate } from './reference/evaluate.ts';
import { expectClose, runGraph } from './run-graph.ts';

describe.each(Object.entries(OP_CASES))('%s', (op, cases) => {
  it.each(cases.map((c) => [c.name, c] as const))('agrees with the reference %s', async (_, c) => {
    const results = await runGraph(c.outputs, hostFeeds(c.inputs));
    const expected = evaluate(c.outputs, referenceFeeds(c.inputs));
    expect(c.outputs.some(({ origin }) => origin.kind === 'node' && origin.node.op === op)).toBe(
      true,
    );
    results.forEach((result, at) => {
      expectClose(result, must(expected[at], 'a reference for every output'), c.tolerance);
      expect(result.dtype).toBe(c.outputs[at]?.dtype);
    });
  });

  it.each(cases.map((c) => [c.name, c] as const))(
    'infers the shape that it has when run %s',
    (_, c) => {
      const expected = evaluate(c.outputs, referenceFeeds(c.inputs));
      c.outputs.forEach(({ shape }, at) => {
        const dims = must(expected[at], 'a reference for every output').dims;
        const bound = shape.map((dim, axis) =>
          typeof dim === 'number' ? dim : (dims[axis] ?? -1),
        );
        expect(sameShape(bound, dims)).toBe(true);
      });
    },
  );
});
