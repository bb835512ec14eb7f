// A LoRA as part of a training graph: cut out of one flat parameter, and added to what frozen layers give.

import type { Tensor } from '../../graph/ir.ts';
import { gemm, matmul } from '../../graph/ops/matrix.ts';
import { reshape, split, transpose } from '../../graph/ops/reshape.ts';
import { must } from '../../lib/errors.ts';
import type { LlamaConfig } from '../llama-config.ts';
import {
  LORA_GROUPS,
  type LoraModule,
  type LoraShape,
  loraLayers,
  moduleSize,
  modulesOfGroup,
} from './lora.ts';

/** The adapters of layers that read one input. */
export interface GroupLora {
  readonly modules: readonly LoraModule[];
  /** All A's, one under the other: f32[R * modules, in] */
  readonly a: Tensor;
  /** A B for each module: f32[out, R] */
  readonly b: readonly Tensor[];
  readonly rank: number;
  readonly scale: number;
}

/** A layer's adapters, by the first module of the whole group. */
export type LayerLora = ReadonlyMap<LoraModule, GroupLora>;

/** Cuts theta f32[P] into matrices, in the order of `loraPlaces`; layers without an adapter are missing. */
export function loraParameters(
  config: LlamaConfig,
  lora: LoraShape,
  theta: Tensor,
): ReadonlyMap<number, LayerLora> {
  const layers = loraLayers(config, lora);
  const groups = LORA_GROUPS.map((group) => shapesOf(config, lora, group)).filter(
    ({ modules }) => modules.length > 0,
  );
  const sizes = layers.flatMap(() => groups.flatMap(({ shapes }) => shapes.map(count)));
  // all at once: what is cut twice is copied twice
  const pieces = split(theta, sizes, 0).values();
  const take = (group: GroupShapes) => {
    const matrices = group.shapes.map((shape) =>
      reshape(must(pieces.next().value, 'a piece for every matrix'), shape),
    );
    return groupLora(group, lora, matrices);
  };
  return new Map(
    layers.map((layer) => [layer, new Map(groups.map((group) => [group.first, take(group)]))]),
  );
}

interface GroupShapes {
  readonly first: LoraModule;
  readonly modules: readonly LoraModule[];
  /** The stacked A's, then each B. */
  readonly shapes: readonly (readonly [rows: number, columns: number])[];
}

function shapesOf(config: LlamaConfig, lora: LoraShape, group: readonly LoraModule[]): GroupShapes {
  const modules = modulesOfGroup(lora, group);
  const [first] = group;
  const sizes = modules.map((module) => moduleSize(config, module));
  return {
    first: must(first, 'a group has a module'),
    modules,
    shapes: [
      [lora.rank * modules.length, sizes[0]?.in ?? 0],
      ...sizes.map(({ out }) => [out, lora.rank] as const),
    ],
  };
}

function groupLora(
  { modules }: GroupShapes,
  lora: LoraShape,
  [a, ...b]: readonly Tensor[],
): GroupLora {
  return {
    modules,
    a: must(a, 'the A part comes first'),
    b,
    rank: lora.rank,
    scale: lora.alpha / lora.rank,
  };
}

/** What each module of a group gives with its adapter: y + scale * (x A^T) B^T.
 *  x f32[M, in]   outputs: f32[M, out] of each of the group's modules */
export function addLora(
  x: Tensor,
  outputs: ReadonlyMap<LoraModule, Tensor>,
  group: GroupLora,
): ReadonlyMap<LoraModule, Tensor> {
  const { modules, a, b, rank, scale } = group;
  const shrunk = split(
    matmul(x, a, { transB: true }),
    modules.map(() => rank),
    1,
  ); // f32[M, R] each
  const adapted = modules.map((module, i): [LoraModule, Tensor] => {
    const c = must(outputs.get(module), 'the group has the module');
    const [u, bi] = [must(shrunk[i], 'one part per module'), must(b[i], 'one B per module')];
    return [module, gemm(u, transpose(bi, [1, 0]), { c, alpha: scale })];
  });
  return new Map([...outputs, ...adapted]);
}

function count([rows, columns]: readonly [rows: number, columns: number]): number {
  return rows * columns;
}
