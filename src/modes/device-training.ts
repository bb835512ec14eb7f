// What a mode tells a device that trains it: how records become examples, the recipe, and the gate. Plain JSON.

import type {
  GateChoices,
  IncrementalChoices,
  PreferenceChoices,
  TrainingChoices,
} from './choices.ts';
import type { JsonSchema } from './json-schema.ts';

/** Who learns from the records: the server; devices, whose records are then never sent; or both. */
export type TrainsOn = 'server' | 'device' | 'both';

/** How a record becomes an example, as text. */
export interface ExampleEntry {
  readonly when?: string;
  readonly input: Readonly<Record<string, string>>;
  readonly target: string;
}

/** Everything about a mode that a device needs, besides what it answers with, to train it. */
export interface DeviceTraining {
  /** 'device': the records of these sources stay on the device. */
  readonly where: Exclude<TrainsOn, 'server'>;
  readonly sources: readonly string[];
  /** By source. */
  readonly examples: Readonly<Record<string, readonly ExampleEntry[]>>;
  /** JSON schema of the mode's input. */
  readonly inputSchema: JsonSchema;
  /** JSON schema of its answers; left out: any text. */
  readonly outputSchema?: JsonSchema;
  readonly objective: 'SFT';
  readonly recipe: TrainingChoices;
  readonly incremental: IncrementalChoices;
  readonly preferences: PreferenceChoices;
  readonly gate: GateChoices;
}
