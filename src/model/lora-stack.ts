// A LoRA adapter in the layout that the decode graph reads: per layer and site one A and one B input, in which linear
// layers that read the same input lie side by side. In: an adapter. Out: plain arrays. It knows nothing of batches.

import { type Dim, multiplyDims, type Shape } from '../graph/dim.ts';
import { must } from '../lib/errors.ts';
import type { LlamaConfig } from './llama-config.ts';
import {
  LORA_GROUPS,
  type LoraAdapter,
  type LoraModule,
  MAX_LORA_RANK,
  moduleSize,
} from './lora.ts';

/** The places in a layer where linear layers read one input, in the order in which they run. */
export const LORA_SITES = ['qkv', 'o', 'gate_up', 'down'] as const;

/** One of the four places in a layer. */
export type LoraSite = (typeof LORA_SITES)[number];

/** The ranks that batches run at: rows of smaller rank are padded with zeros, which add exactly nothing. */
const LORA_RANKS = [8, MAX_LORA_RANK] as const;

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
  adapter: LoraAdapter,
  R: number,
): readonly Float32Array[] {
  const inputs = loraInputs(config);
  const arrays = inputs.map(({ groups, inner }) => new Float32Array(groups * R * inner));
  const byName = new Map(inputs.map(({ name }, i) => [name, arrays[i] as Float32Array]));
  for (const tensor of adapter.tensors) {
    const site = LORA_SITES[LORA_GROUPS.findIndex((group) => isIn(group, tensor.module))];
    const names = loraNames(tensor.layer, must(site, `a site of ${tensor.module}`));
    const layout = siteLayout(config, must(site, `a site of ${tensor.module}`));
    const index = layout.modules.indexOf(tensor.module);
    must(byName.get(names.a), names.a).set(tensor.a, index * R * layout.in);
    packB(tensor.b, { layout, index, R, ...adapter.shape }, must(byName.get(names.b), names.b));
  }
  return arrays;
}

interface Placement {
  readonly layout: SiteLayout;
  readonly index: number;
  readonly R: number;
  readonly rank: number;
  readonly alpha: number;
}

/** Writes b f32[out, rank] as the module's blocks f32[R, width], times alpha / rank: each block's rows one after the other,
 *  since strides are cheaper to read than to write. */
function packB(b: Float32Array, placement: Placement, target: Float32Array): void {
  const { layout, index, R, rank, alpha } = placement;
  const { width } = layout;
  const scale = alpha / rank;
  const firstBlock = layout.blocks.indexOf(index);
  for (let block = 0; block < b.length / rank / width; block += 1)
    for (let r = 0; r < rank; r += 1) {
      const start = ((firstBlock + block) * R + r) * width;
      let from = block * width * rank + r;
      for (let i = 0; i < width; i += 1) {
        target[start + i] = (b[from] as number) * scale;
        from += rank;
      }
    }
}

function isIn(group: readonly LoraModule[], module: LoraModule): boolean {
  return group.includes(module);
}
