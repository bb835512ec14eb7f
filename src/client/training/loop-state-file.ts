// A training loop's state as the bytes of a file, and back.

import { parseSafetensors } from '../../model/safetensors/safetensors-tensors.ts';
import { encodeSafetensors, type TensorData } from '../../model/safetensors/safetensors-writer.ts';
import type { LoopState } from '../../training/core/train-loop.ts';

/** The file of this state. */
export function encodeLoopState({ theta, best, optimiser, ...rest }: LoopState): Uint8Array {
  const { mean, square, steps } = optimiser;
  const tensor = (data: Float32Array): TensorData => ({ dtype: 'F32', shape: [data.length], data });
  const tensors = Object.entries({ theta, best, mean, square }).map(
    ([name, data]) => [name, tensor(data)] as const,
  );
  return encodeSafetensors(new Map(tensors), { state: JSON.stringify({ ...rest, steps }) });
}

/** The state of the file. Throws BAD_INPUT for a file that is none. */
export function decodeLoopState(bytes: Uint8Array): LoopState {
  const file = parseSafetensors(bytes, 'the checkpoint');
  const { steps, ...rest } = JSON.parse(file.metadata.state ?? '{}') as {
    readonly steps: number;
  } & Pick<LoopState, 'losses' | 'validationLosses' | 'epochs' | 'epochSteps'>;
  const [theta, best] = [file.read('theta'), file.read('best')];
  const optimiser = { mean: file.read('mean'), square: file.read('square'), steps };
  return { ...rest, theta, best, optimiser };
}
