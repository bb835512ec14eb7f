import type { OutputShape } from '../../modes/output-shape.ts';
import { OUTPUT_END, type OutputState, outputStart } from '../../modes/output-states.ts';
import type { Vocabulary } from './vocabulary.ts';

/** Keeps one answer to its shape. */
export class OutputGuide {
  readonly #vocabulary: Vocabulary;
  #state: OutputState;

  constructor(vocabulary: Vocabulary, shape: OutputShape) {
    this.#vocabulary = vocabulary;
    this.#state = outputStart(shape);
  }

  /** The logits of the tokens that may come next; those of all others are -Infinity.   logits f32[V], left as it is */
  narrow(logits: Float32Array): Float32Array {
    const allowed = this.#vocabulary.allowedAt(this.#state);
    return logits.map((logit, id) => (allowed[id] === 1 ? logit : Number.NEGATIVE_INFINITY));
  }

  /** Notes that a token was written, one of those that might come. */
  take(token: number): void {
    for (const byte of this.#vocabulary.bytesOf(token)) {
      const next = this.#state.step(byte);
      if (next === null) throw new Error(`token ${token} does not go on the answer`);
      this.#state = next;
    }
  }

  /** Whether the answer is whole. */
  get isWhole(): boolean {
    return this.#state === OUTPUT_END;
  }
}
