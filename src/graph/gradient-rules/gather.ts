import type { Tensor } from '../ir.ts';
import { cast } from '../ops/elementwise.ts';
import { gatherElements, gatherNd, scatterElements, scatterNd } from '../ops/gather.ts';
import { transpose, unsqueeze, zerosLike } from '../ops/reshape.ts';
import { type GradientRules, NOT_DIFFERENTIABLE } from './rule.ts';

/** Adds the gradient of each gathered slice to where it came from. */
function gatherGradient(x: Tensor, indices: Tensor, axis: number, g: Tensor): Tensor {
  const tuples = unsqueeze(cast(indices, 'i64'), [-1]);
  if (axis === 0) return scatterNd(zerosLike(x), tuples, g, 'add');
  // ScatterND writes along the first axis, so bring the gathered one to the front and back.
  const axes = x.shape.map((_, at) => at);
  const toFront = [axis, ...axes.filter((at) => at !== axis)];
  const gathered = indices.shape.map((_, at) => axis + at);
  const others = g.shape.map((_, at) => at).filter((at) => !gathered.includes(at));
  const moved = scatterNd(
    transpose(zerosLike(x), toFront),
    tuples,
    transpose(g, [...gathered, ...others]),
    'add',
  );
  return transpose(
    moved,
    axes.map((at) => toFront.indexOf(at)),
  );
}

/** Gradient rules of the operators that read or write elements by index. */
export const GATHER_GRADIENTS = {
  Gather: ({ inputs: [x, indices], attributes: { axis } }, [g]) => [
    gatherGradient(x, indices, axis, g),
    null,
  ],
  GatherElements: ({ inputs: [x, indices], attributes: { axis } }, [g]) => [
    scatterElements(zerosLike(x), indices, g, { axis, reduction: 'add' }),
    null,
  ],
  GatherND: ({ inputs: [x, indices] }, [g]) => [scatterNd(zerosLike(x), indices, g, 'add'), null],
  GatherBlockQuantized: NOT_DIFFERENTIABLE,
  // An element that was replaced has no say in the result.
  ScatterND: ({ inputs: [, indices, updates], attributes: { reduction } }, [g]) => [
    reduction === 'add' ? g : scatterNd(g, indices, zerosLike(updates)),
    null,
    gatherNd(g, indices),
  ],
  ScatterElements: ({ inputs: [, indices, updates], attributes }, [g]) => {
    const { axis, reduction } = attributes;
    return [
      reduction === 'add' ? g : scatterElements(g, indices, zerosLike(updates), { axis }),
      null,
      gatherElements(g, indices, axis),
    ];
  },
} satisfies Partial<GradientRules>;
