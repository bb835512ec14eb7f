// A base's 8-bit serving weights as training graphs read them: a device trains with the very file that it answers with.
// Forward is what decoding computes; backward multiplies by the same integers, turned round when the session is made.

import { customGradient } from '../../graph/custom-gradient.ts';
import type { Tensor } from '../../graph/ir.ts';
import { cast, mul, sub } from '../../graph/ops/elementwise.ts';
import { matmul } from '../../graph/ops/matrix.ts';
import { dequantizeLinear } from '../../graph/ops/quantise.ts';
import { concat, reshape, split, transpose } from '../../graph/ops/reshape.ts';
import { must } from '../../lib/errors.ts';
import {
  type Int8Weights,
  int8Linear,
  int8WeightsIn,
  rowConstants,
} from '../decode/int8-linear.ts';
import type { LlamaConfig } from '../llama-config.ts';
import { linearName, moduleSize } from '../lora/lora.ts';
import { LORA_SITES, type LoraSite, siteLayout } from '../lora/lora-stack.ts';
import type { WeightFile } from '../safetensors/weight-file.ts';
import { int8Product, quantiseRowsOf } from './frozen-linear.ts';
import type { FrozenWeights } from './llama-train.ts';

/** The frozen weights of a base in its file of 8-bit weights (decode-weights.ts), in which the linear layers of a site lie
 *  side by side. */
export function int8TrainWeights(config: LlamaConfig, file: WeightFile): FrozenWeights {
  const places = sitePlaces(config);
  // the modules of a site read one input, and are one product
  const products = new Map<string, { readonly x: Tensor; readonly parts: readonly Tensor[] }>();
  return {
    tensor: (name) =>
      name === 'lm_head.weight' ? floatsOf(int8WeightsIn(file, 'head')) : file(name),
    linear: (x, name) => {
      const { site, index, sizes } = must(places.get(name), `${name} is a linear layer`);
      const known = products.get(site);
      const parts = known?.x === x ? known.parts : fusedLinear(x, int8WeightsIn(file, site), sizes);
      products.set(site, { x, parts });
      return must(parts[index], 'a part for every module');
    },
  };
}

/** Where a linear layer lies in a file of 8-bit weights. */
export interface SitePlace {
  /** What the file calls its site. */
  readonly site: string;
  readonly index: number;
  /** Outputs of each of the layers that lie there, side by side. */
  readonly sizes: readonly number[];
}

/** Where each linear layer is. */
export function sitePlaces(config: LlamaConfig): ReadonlyMap<string, SitePlace> {
  const layers = Array.from({ length: config.layerCount }, (_, layer) => layer);
  const entries = layers.flatMap((layer) =>
    LORA_SITES.flatMap((site) => {
      const { modules } = siteLayout(config, site);
      const sizes = modules.map((module) => moduleSize(config, module).out);
      return modules.map(
        (module, index) =>
          [linearName(layer, module), { site: siteName(layer, site), index, sizes }] as const,
      );
    }),
  );
  return new Map(entries);
}

/** What the file of 8-bit weights calls a site's linear layers. */
export function siteName(layer: number, site: LoraSite): string {
  return `model.layers.${layer}.${site}`;
}

/** W f32[out, in] of an 8-bit matrix. */
function floatsOf({ values, scales, zeros }: Int8Weights): Tensor {
  return transpose(dequantizeLinear(values, scales, { zero: zeros, axis: 1 }), [1, 0]);
}

/** The linear layers of a site, each with its own output.   x f32[M, in]   returns f32[M, sizes[i]] */
function fusedLinear(x: Tensor, weights: Int8Weights, sizes: readonly number[]): readonly Tensor[] {
  const K = must(weights.values.shape[0], 'inputs');
  const rows = reshape(x, [1, -1, K]); // f32[1, M, in]
  const product = int8Linear(rows, weights, rowConstants(rows));
  const flat = reshape(product, [-1, sizes.reduce((sum, size) => sum + size, 0)]);
  return customGradient({
    name: 'int8FusedLinear',
    outputs: sizes.length === 1 ? [flat] : split(flat, sizes, 1),
    parents: [x],
    vjp: (gradients) => [int8Backward(concat(gradients, 1), weights)],
  });
}

/** dY W, for W as int8Linear has it.   gradient f32[M, N]   returns f32[M, K]
 *  The zero points belong to the columns of W, which are the rows of this product: they are taken off as a sum of their own. */
function int8Backward(gradient: Tensor, { values, scales, zeros }: Int8Weights): Tensor {
  const N = must(scales.shape[0], 'outputs');
  const scaled = quantiseRowsOf(mul(gradient, scales));
  const product = int8Product(scaled, { values: transpose(values, [1, 0]) });
  const offsets = matmul(scaled.rounded, reshape(cast(zeros, 'f32'), [N, 1])); // f32[M, 1]
  return sub(product, offsets);
}
