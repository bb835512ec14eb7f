import type { LlamaConfig } from '../../model/llama-config.ts';
import { type LoraShape, loraPlaces, loraSize } from '../../model/lora.ts';
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
