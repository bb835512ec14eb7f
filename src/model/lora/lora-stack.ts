// A LoRA adapter in the layout that the decode graph reads: per layer and site one A and one B input, in which linear
// layers that read the same input lie side by side. In: an adapter. Out: plain arrays. It knows nothing of batches.

import { type Dim, multiplyDims, type Shape } from '../../graph/dim.ts';
import { must } from '../../lib/errors.ts';
import type { LlamaConfig } from '../llama-config.ts';
import {
  LORA_GROUPS,
  type LoraModule,
  MAX_LORA_RANK,
  moduleSize,
  type StoredLora,
  type StoredMatrix,
} from './lora.ts';

/** The places in a layer where linear layers read one input, in the order in which they run. */
export const LORA_SITES = ['qkv', 'o', 'gate_up', 'down'] as const;

/** One of the four places in a layer. */
export type LoraSite = (typeof LORA_SITES)[number];

/** The ranks that batches run at: rows of smaller rank are padded with zeros, which add exactly nothing. The first is for
 *  batches without any adapter: onnxruntime refuses a rank of 0. */
const LORA_RANKS = [1, 8, MAX_LORA_RANK] as const;

/** How the linear layers of a site lie side by side. Their outputs are cut into blocks of one width, so that one
 *  batched product serves them all: with grouped-query attention q has G blocks, k and v one each. */
export interface SiteLayout {
  readonly modules: readonly LoraModule[];
  readonly in: number;
  readonly width: number;
  /** Which module each block belongs to, as an index into `modules`. */
  readonly blocks: readonly number[];
}

/** An A or B input of the decode graph: for each row f32[groups, R, inner]. Padding R pads every group. */
export interface LoraInput {
  readonly name: string;
  /** The modules of an A, the blocks of a B. */
  readonly groups: number;
  readonly inner: number;
  /** Its dimensions for one row, as the graph has them. */
  dims(rank: number): readonly number[];
}

/** How a site's linear layers lie side by side. */
export function siteLayout(config: LlamaConfig, site: LoraSite): SiteLayout {
  const modules = must(LORA_GROUPS[LORA_SITES.indexOf(site)], `modules of ${site}`);
  const sizes = modules.map((module) => moduleSize(config, module));
  const width = Math.min(...sizes.map((size) => size.out));
  return {
    modules,
    in: must(sizes[0], 'a site has a module').in,
    width,
    blocks: sizes.flatMap((size, index) => Array(size.out / width).fill(index)),
  };
}

/** The names of a site's inputs. */
export function loraNames(
  layer: number,
  site: LoraSite,
): { readonly a: string; readonly b: string } {
  return { a: `lora_a.${layer}.${site}`, b: `lora_b.${layer}.${site}` };
}

/** The dimensions of a site's inputs for one row: a [modules*R, in]   b [R, out], or [blocks, R, width]. */
export function loraDims(layout: SiteLayout, rank: Dim): { readonly a: Shape; readonly b: Shape } {
  const { modules, blocks, width } = layout;
  return {
    a: [multiplyDims(modules.length, rank), layout.in],
    b: blocks.length === 1 ? [rank, width] : [blocks.length, rank, width],
  };
}

/** Every LoRA input of the decode graph, in one fixed order. */
export function loraInputs(config: LlamaConfig): readonly LoraInput[] {
  return Array.from({ length: config.layerCount }, (_, layer) =>
    LORA_SITES.flatMap((site) => inputsOf(siteLayout(config, site), loraNames(layer, site))),
  ).flat();
}

function inputsOf(layout: SiteLayout, names: { a: string; b: string }): readonly LoraInput[] {
  const dimsOf = (part: 'a' | 'b') => (rank: number) => loraDims(layout, rank)[part].map(Number);
  const { modules, blocks, width } = layout;
  return [
    { name: names.a, groups: modules.length, inner: layout.in, dims: dimsOf('a') },
    { name: names.b, groups: blocks.length, inner: width, dims: dimsOf('b') },
  ];
}

/** The rank at which a batch runs to hold an adapter of this rank. */
export function paddedRank(rank: number): number {
  const padded = LORA_RANKS.find((one) => rank <= one);
  return must(padded, `a rank of at most ${MAX_LORA_RANK}, not ${rank}`);
}

/** The adapter as one row's inputs at rank R, in the order of `loraInputs`: alpha / rank is folded into B, and what it
 *  does not adapt is zero. */
export function packLora(
  config: LlamaConfig,
  { shape, tensors }: StoredLora,
  R: number,
): readonly Float32Array[] {
  const inputs = loraInputs(config);
  const arrays = inputs.map(({ groups, inner }) => new Float32Array(groups * R * inner));
  const byName = new Map(inputs.map(({ name }, i) => [name, arrays[i] as Float32Array]));
  const placeOf = new Map(LORA_SITES.flatMap((site) => placements(config, site, { R, ...shape })));
  for (const { layer, module, a, b } of tensors) {
    const place = must(placeOf.get(module), `a place of ${module}`);
    const names = loraNames(layer, place.site);
    packA(a, place, must(byName.get(names.a), names.a));
    packB(b, place, must(byName.get(names.b), names.b));
  }
  return arrays;
}

/** What is the same for all layers: the ranks and, of a module, its place among those that lie beside it. */
interface Ranks {
  readonly R: number;
  readonly rank: number;
  readonly alpha: number;
}
interface Placement extends Ranks {
  readonly site: LoraSite;
  readonly layout: SiteLayout;
  readonly index: number;
}

function placements(
  config: LlamaConfig,
  site: LoraSite,
  ranks: Ranks,
): readonly (readonly [LoraModule, Placement])[] {
  const layout = siteLayout(config, site);
  return layout.modules.map((module, index) => [module, { ...ranks, site, layout, index }]);
}

/** Writes a [rank, in] as the module's rows. */
function packA(matrix: StoredMatrix, placement: Placement, target: Float32Array): void {
  const { layout, index, R, rank } = placement;
  const start = index * R * layout.in;
  if (matrix instanceof Float32Array) {
    target.set(matrix, start);
    return;
  }
  const { numbers, scales } = matrix;
  for (let r = 0; r < rank; r += 1) {
    const scale = scales[r] as number;
    const end = (r + 1) * layout.in;
    for (let i = r * layout.in; i < end; i += 1) target[start + i] = (numbers[i] as number) * scale;
  }
}

/** Writes b [out, rank] as the module's blocks [R, width], times alpha / rank: each block's rows one after the other, since
 *  strides are cheaper to read than to write. */
function packB(matrix: StoredMatrix, placement: Placement, target: Float32Array): void {
  const { layout, index, R, rank, alpha } = placement;
  const { width } = layout;
  const numbers = matrix instanceof Float32Array ? matrix : matrix.numbers;
  const scales = matrix instanceof Float32Array ? null : matrix.scales;
  const factor = alpha / rank;
  const firstBlock = layout.blocks.indexOf(index);
  for (let block = 0; block < numbers.length / rank / width; block += 1)
    for (let r = 0; r < rank; r += 1) {
      const scale = scales?.[r] ?? 1;
      const start = ((firstBlock + block) * R + r) * width;
      let from = block * width * rank + r;
      for (let i = 0; i < width; i += 1) {
        // in this order: the first product is exact, so that float and coded numbers give the same bits
        target[start + i] = (numbers[from] as number) * scale * factor;
        from += rank;
      }
    }
}
