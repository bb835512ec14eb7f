// A LoRA adapter as numbers: which matrices it has, their shapes, and their places in one flat array.
// In: a model's sizes and an adapter's shape. Out: slots, and conversions between matrices and the flat array.
// It knows nothing of files, graphs or training.

import { must } from '../../lib/errors.ts';
import type { LlamaConfig } from '../llama-config.ts';

/** The linear layers of a Llama block that an adapter may change, by their Hugging Face names. */
export const LORA_MODULES = [
  'q_proj',
  'k_proj',
  'v_proj',
  'o_proj',
  'gate_proj',
  'up_proj',
  'down_proj',
] as const;

/** One of the seven linear layers of a block. */
export type LoraModule = (typeof LORA_MODULES)[number];

/** Modules that read the same input: their A matrices lie side by side, so that one product serves them all. */
export const LORA_GROUPS = [
  ['q_proj', 'k_proj', 'v_proj'],
  ['o_proj'],
  ['gate_proj', 'up_proj'],
  ['down_proj'],
] as const satisfies readonly (readonly LoraModule[])[];

/** The engine pads every adapter in a batch to this rank, so that a larger one would cost all rows. */
export const MAX_LORA_RANK = 16;

/** Which matrices an adapter has. y = x W^T + (alpha / rank) (x A^T) B^T in each of them. */
export interface LoraShape {
  readonly rank: number;
  readonly alpha: number;
  readonly modules: readonly LoraModule[];
  /** Adapted layers, ascending; absent: all of them. */
  readonly layers?: readonly number[];
}

/** The update of one linear layer: a f32[R, in], b f32[out, R], both row-major. */
export interface LoraTensor {
  readonly layer: number;
  readonly module: LoraModule;
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/** Numbers of a matrix, row-major, each standing for itself times the scale of its rank: a product that float32 holds exactly. */
export interface ScaledNumbers {
  readonly numbers: Int8Array;
  /** f32[R] */
  readonly scales: Float32Array;
}

/** A matrix as it is stored. */
export type StoredMatrix = Float32Array | ScaledNumbers;

/** A whole adapter as it is stored, in whatever numbers; its tensors come in the order of `loraPlaces`. */
export interface StoredLora {
  readonly shape: LoraShape;
  readonly tensors: readonly {
    readonly layer: number;
    readonly module: LoraModule;
    readonly a: StoredMatrix;
    readonly b: StoredMatrix;
  }[];
}

/** A whole adapter; its tensors come in the order of `loraPlaces`. */
export interface LoraAdapter {
  readonly shape: LoraShape;
  readonly tensors: readonly LoraTensor[];
}

/** Where the two matrices of one linear layer begin in the flat array. */
export interface LoraPlace {
  readonly layer: number;
  readonly module: LoraModule;
  readonly in: number;
  readonly out: number;
  readonly aOffset: number;
  readonly bOffset: number;
}

/** The sizes of a linear layer: it maps f32[.., in] to f32[.., out]. */
export function moduleSize(config: LlamaConfig, module: LoraModule): { in: number; out: number } {
  const hidden = config.hiddenSize;
  const queries = config.headCount * config.headSize;
  const keys = config.kvHeadCount * config.headSize;
  const sizes: Record<LoraModule, { in: number; out: number }> = {
    q_proj: { in: hidden, out: queries },
    k_proj: { in: hidden, out: keys },
    v_proj: { in: hidden, out: keys },
    o_proj: { in: queries, out: hidden },
    gate_proj: { in: hidden, out: config.intermediateSize },
    up_proj: { in: hidden, out: config.intermediateSize },
    down_proj: { in: config.intermediateSize, out: hidden },
  };
  return sizes[module];
}

const PARENTS: Record<LoraModule, string> = {
  q_proj: 'self_attn',
  k_proj: 'self_attn',
  v_proj: 'self_attn',
  o_proj: 'self_attn',
  gate_proj: 'mlp',
  up_proj: 'mlp',
  down_proj: 'mlp',
};

/** The Hugging Face name of a linear layer, without `.weight`. */
export function linearName(layer: number, module: LoraModule): string {
  return `model.layers.${layer}.${PARENTS[module]}.${module}`;
}

/** The layers that an adapter of this shape changes, ascending. */
export function loraLayers(config: LlamaConfig, shape: LoraShape): readonly number[] {
  return shape.layers ?? Array.from({ length: config.layerCount }, (_, layer) => layer);
}

/** The adapter's modules within one group, in the group's order. */
export function modulesOfGroup(
  shape: LoraShape,
  group: readonly LoraModule[],
): readonly LoraModule[] {
  return group.filter((module) => shape.modules.includes(module));
}

/** Every adapted linear layer and its place: by layer, by group, in a group first all A's, then all B's. */
export function loraPlaces(config: LlamaConfig, shape: LoraShape): readonly LoraPlace[] {
  const places: LoraPlace[] = [];
  let offset = 0;
  for (const layer of loraLayers(config, shape)) {
    for (const group of LORA_GROUPS) {
      const sized = modulesOfGroup(shape, group).map((module) => ({
        module,
        ...moduleSize(config, module),
      }));
      let aOffset = offset;
      let bOffset = offset + sized.reduce((sum, m) => sum + shape.rank * m.in, 0);
      for (const m of sized) {
        places.push({ layer, ...m, aOffset, bOffset });
        aOffset += shape.rank * m.in;
        bOffset += shape.rank * m.out;
      }
      offset = bOffset;
    }
  }
  return places;
}

/** How many numbers an adapter of this shape has. */
export function loraSize(config: LlamaConfig, shape: LoraShape): number {
  return loraPlaces(config, shape).reduce((sum, p) => sum + shape.rank * (p.in + p.out), 0);
}

/** The flat array as an adapter; the matrices are copies. */
export function unflattenLora(
  config: LlamaConfig,
  shape: LoraShape,
  flat: Float32Array,
): LoraAdapter {
  const tensors = loraPlaces(config, shape).map((p) => ({
    layer: p.layer,
    module: p.module,
    a: flat.slice(p.aOffset, p.aOffset + shape.rank * p.in),
    b: flat.slice(p.bOffset, p.bOffset + shape.rank * p.out),
  }));
  return { shape, tensors };
}

/** The flat array of the adapter that changes nothing: with it a graph computes the bare base. */
export function noLora(config: LlamaConfig, shape: LoraShape): Float32Array {
  return new Float32Array(loraSize(config, shape));
}

/** The adapter as the flat array of a `shape` that may be larger: missing ranks and layers are zero, which adds
 *  exactly nothing, and a different alpha / rank is folded into B. The adapter must fit into the shape. */
export function flattenLora(
  config: LlamaConfig,
  adapter: LoraAdapter,
  shape: LoraShape = adapter.shape,
): Float32Array {
  const flat = new Float32Array(loraSize(config, shape));
  const places = new Map(loraPlaces(config, shape).map((p) => [`${p.layer}.${p.module}`, p]));
  const { rank } = adapter.shape;
  const rescale = adapter.shape.alpha / rank / (shape.alpha / shape.rank);
  for (const { layer, module, a, b } of adapter.tensors) {
    const place = must(
      places.get(`${layer}.${module}`),
      'the shape has every layer of the adapter',
    );
    flat.set(a, place.aOffset);
    if (rank === shape.rank && rescale === 1) {
      flat.set(b, place.bOffset);
      continue;
    }
    for (let row = 0; row < place.out; row += 1) {
      const values = b.subarray(row * rank, (row + 1) * rank).map((value) => value * rescale);
      flat.set(values, place.bOffset + row * shape.rank);
    }
  }
  return flat;
}

/** A shape that both adapters fit into: `shape` itself where the other fits into it. */
export function coveringShape(config: LlamaConfig, shape: LoraShape, other: LoraShape): LoraShape {
  const layers = [...loraLayers(config, shape)];
  const moreLayers = loraLayers(config, other).filter((layer) => !layers.includes(layer));
  const moreModules = other.modules.some((module) => !shape.modules.includes(module));
  if (other.rank <= shape.rank && moreLayers.length === 0 && !moreModules) return shape;
  const rank = Math.max(shape.rank, other.rank);
  return {
    rank,
    alpha: rank,
    modules: LORA_MODULES.filter((m) => shape.modules.includes(m) || other.modules.includes(m)),
    layers: [...layers, ...moreLayers].sort((a, b) => a - b),
  };
}
