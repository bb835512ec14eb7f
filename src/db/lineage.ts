// What is kept of an adapter's making, as JSON.

import type { Json } from '../lib/canonical-json.ts';

/** What an adapter was made from, and how it did. Like the tensors it follows from data, recipe and code alone: nothing
 *  of user, version or clock is in it. */
export interface Lineage {
  readonly baseSha256: string;
  readonly datasetSha256: string;
  /** The tensors of the adapter whose weights it began from; null: from nothing. */
  readonly parentSha256: string | null;
  readonly recipe: Json;
  readonly codeVersion: string;
  readonly figures: LineageFigures;
}

/** What training it came to. */
export interface LineageFigures {
  readonly steps: number;
  /** Examples, pairs and lone thumbs that it learnt from in this run. */
  readonly examples: number;
  readonly preferences: number;
  /** What was dropped or cut so that it could be learnt or measured, and how often: such as "cut to fit" 3 times. */
  readonly notes: Readonly<Record<string, number>>;
  /** Training loss of the first and of the last step. */
  readonly firstLoss: number | null;
  readonly lastLoss: number | null;
  /** On held-out examples: mean negative log-likelihood per target token (nats), its own and the base's. */
  readonly holdoutLoss: number | null;
  readonly baseLoss: number | null;
  /** On held-out pairs. */
  readonly preferenceAccuracy: number | null;
}
