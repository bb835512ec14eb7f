// What a mode's file decides about training; plain values, the same on servers and devices.

/** What a mode's file says about training; the trainer knows the rest. */
export interface TrainingChoices {
  readonly learningRate: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly maxTokens: number;
}

/** How runs after the first one go on from the live adapter. */
export interface IncrementalChoices {
  /** Once the examples and preferences that came or went since the last run from scratch are more than this share of
   *  those that there are, the next run is from scratch; 0: every one is. */
  readonly rebuildShare: number;
  readonly epochs: number;
  /** Its share of `training.learningRate`. */
  readonly learningRateShare: number;
  /** Old examples that are repeated for each new one. */
  readonly replay: number;
}

/** What a mode that learns preferences makes of them. */
export interface PreferenceChoices {
  /** The model not to stray from: the base (with the shipped adapter), or what the run begins from. */
  readonly reference: 'base' | 'start';
  /** Whether what the user wrote to an input is preferred to the completions of it. */
  readonly drafts: boolean;
  /** Whether an answer with a thumb up or down is learnt from where there is no other answer to compare it to. */
  readonly thumbs: boolean;
}

/** When a candidate may be published. */
export interface GateChoices {
  /** How much worse per token than the live adapter it may be at most (nats). */
  readonly marginNats: number;
  /** With fewer held-out examples nothing is trained. */
  readonly minHoldout: number;
  /** How much worse per token than the base it may be at most on text that no user wrote (nats). */
  readonly probeMarginNats: number;
  /** Whether a live version that is rated clearly worse than the one before it is rolled back. */
  readonly watchRatings: boolean;
}
