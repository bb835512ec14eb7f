import { describe, expect, it } from 'vitest';
import { customGradient } from '../../src/graph/custom-gradient.ts';
import { buildGraph } from '../../src/graph/graph.ts';
import type { Tensor } from '../../src/graph/ir.ts';
import { add, exp, identity, mul, neg } from '../../src/graph/ops/elementwise.ts';
import { matmul } from '../../src/graph/ops/matrix.ts';
import { sumAll } from '../../src/graph/ops/reduce.ts';
import { split } from '../../src/graph/ops/reshape.ts';
import { shareSubexpressions } from '../../src/graph/share-subexpressions.ts';
import { f32, input, weight } from '../../src/graph/tensor.ts';
import { verify } from '../../src/graph/verify.ts';
import { must } from '../../src/lib/errors.ts';

const x = input('x', 'f32', ['B', 4]);

describe('a built graph', () => {
  it('holds only what its outputs need', () => {
    neg(exp(x));
    const graph = buildGraph('g', { y: mul(exp(x), 2) });
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Exp', 'Mul']);
  });

  it('takes inputs in order of first use', () => {
    const a = input('a', 'f32', [1]);
    expect(buildGraph('g', { y: add(a, x) }).inputs).toEqual([a, x]);
  });

  it('names outputs as asked, also when two names are for one tensor or a tensor is an input', () => {
    const y = exp(x);
    const graph = buildGraph('g', { y, again: y, x2: x });
    verify(graph);
    expect(graph.outputs.map(({ name }) => name)).toEqual(['y', 'again', 'x2']);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Exp', 'Identity', 'Identity']);
  });

  it('has one of several equal inputs, weights and small constants', () => {
    const w = (): Tensor => weight('w', 'f32', [4, 4], { file: 'w.bin', byteOffset: 0 });
    const again = input('x', 'f32', ['B', 4]);
    const graph = buildGraph('g', { y: add(mul(matmul(x, w()), 3), mul(matmul(again, w()), 3)) });
    verify(graph);
    expect(graph.inputs).toHaveLength(1);
    expect(graph.initializers).toHaveLength(2);
  });

  it('keeps constants apart that differ in sign of zero, type or shape', () => {
    const parts = [f32([1], [0]), f32([1], [-0]), f32([], [0])].map((zero) => add(x, zero));
    expect(buildGraph('g', { y: parts.reduce((a, b) => add(a, b)) }).initializers).toHaveLength(3);
  });

  it.each([
    ['inputs', () => input('x', 'f32', ['B', 5]), () => input('x', 'f32', ['B', 4])],
    [
      'weights',
      () => weight('w', 'f32', [4], { file: 'w.bin', byteOffset: 0 }),
      () => weight('w', 'f32', [4], { file: 'w.bin', byteOffset: 16 }),
    ],
  ])('refuses two different %s of one name', (_, one, other) => {
    expect(() => buildGraph('g', { a: sumAll(one()), b: sumAll(other()) })).toThrow(
      'give each its own name',
    );
  });

  it('has dropped custom gradients and kept their values', () => {
    const outputs = customGradient({
      name: 'both',
      outputs: split(x, [1, 3], 1),
      parents: [x],
      vjp: () => [null],
    });
    const graph = buildGraph('g', {
      y: exp(must(outputs[1], 'two outputs')),
      z: must(outputs[0], 'two outputs'),
    });
    verify(graph);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Split', 'Exp']);
  });

  it('may be deeper than the call stack', () => {
    let y: Tensor = x;
    for (let depth = 0; depth < 20_000; depth += 1) y = identity(y);
    const graph = buildGraph('g', { y });
    expect(graph.nodes).toHaveLength(20_000);
  });
});

describe('shareSubexpressions', () => {
  const ops = (outputs: Readonly<Record<string, Tensor>>): readonly string[] => {
    const graph = shareSubexpressions(buildGraph('g', outputs));
    verify(graph);
    return graph.nodes.map(({ op }) => op);
  };

  it('computes once what is written twice', () => {
    expect(ops({ y: add(exp(neg(x)), exp(neg(x))) })).toEqual(['Neg', 'Exp', 'Add']);
  });

  it('keeps apart what differs in attributes, inputs or order of inputs', () => {
    const w = f32([4, 4], new Float32Array(16));
    const alpha = [1, 2, 2].map((value) => matmul(x, w, { alpha: value, transB: true }));
    expect(ops({ y: alpha.reduce((a, b) => add(a, b)) })).toEqual([
      'FusedMatMul',
      'FusedMatMul',
      'Add',
      'Add',
    ]);
    expect(ops({ y: add(exp(x), neg(x)), z: add(neg(x), exp(x)) })).toEqual([
      'Exp',
      'Neg',
      'Add',
      'Add',
    ]);
  });

  it('keeps two outputs that are one value', () => {
    expect(ops({ y: exp(x), z: exp(x) })).toEqual(['Exp', 'Identity']);
  });
});
