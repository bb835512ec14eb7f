import type { LlamaConfig } from '../model/llama-config.ts';
import { openSession } from '../runtime/session.ts';
import { ModelRunner } from './core/model-runner.ts';

/** Long enough for the pause between two operators, short enough to leave the processor to others between two runs. */
const SPIN_MICROSECONDS = 200;

/** Opens the server's decode graph (decode-package.ts). */
export async function openRunner(
  path: string,
  config: LlamaConfig,
  threads: number,
): Promise<ModelRunner> {
  // A memory plan per shape would be kept for ever, and every batch size and bucket is another shape.
  const options = { threads, spinMicroseconds: SPIN_MICROSECONDS, memoryPattern: false };
  return new ModelRunner(await openSession(path, options), config);
}
