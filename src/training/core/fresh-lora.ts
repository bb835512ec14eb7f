import type { LlamaConfig } from '../../model/llama-config.ts';
import {
  flattenLora,
  type LoraAdapter,
  type LoraShape,
  loraPlaces,
  loraSize,
} from '../../model/lora/lora.ts';
import type { Random } from './random.ts';

/** A LoRA that changes nothing yet: B zero, A uniform in +-1/sqrt(in).
 *  As PEFT starts one: kaiming_uniform_ with a = sqrt(5) gives that bound (Hu et al., "LoRA", use a Gaussian). */
export function freshLora(config: LlamaConfig, shape: LoraShape, random: Random): Float32Array {
  const theta = new Float32Array(loraSize(config, shape));
  for (const place of loraPlaces(config, shape)) {
    const bound = 1 / Math.sqrt(place.in);
    const end = place.aOffset + shape.rank * place.in;
    for (let i = place.aOffset; i < end; i += 1) theta[i] = (2 * random() - 1) * bound;
  }
  return theta;
}

/** The adapter in the shape. Where it has no numbers of its own, A is that of a fresh LoRA, which is made only then: with zeros in
 *  both A and B nothing could ever be learnt there. */
export function laidOver(
  adapter: LoraAdapter,
  place: { readonly config: LlamaConfig; readonly shape: LoraShape },
  newLora: () => Float32Array,
): Float32Array {
  const { config, shape } = place;
  const theta = flattenLora(config, adapter, shape);
  const places = new Set(adapter.tensors.map(({ layer, module }) => `${layer}.${module}`));
  const gaps = loraPlaces(config, shape).flatMap(({ layer, module, in: K, aOffset }) => {
    const ownRanks = places.has(`${layer}.${module}`) ? adapter.shape.rank : 0;
    return ownRanks < shape.rank ? [[aOffset + ownRanks * K, aOffset + shape.rank * K]] : [];
  });
  if (gaps.length === 0) return theta;
  const fresh = newLora();
  for (const [from, to] of gaps) theta.set(fresh.subarray(from, to), from);
  return theta;
}
