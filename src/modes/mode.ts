import type { Json } from '../lib/canonical-json.ts';
import type { LoraModule } from '../model/lora/lora.ts';
import type {
  GateChoices,
  IncrementalChoices,
  PreferenceChoices,
  TrainingChoices,
} from './choices.ts';
import type { ModeDefinition } from './definition.ts';
import type { TrainsOn } from './device-training.ts';
import type { ModeOutput } from './output.ts';
import type { MessageTemplate, Template, Variables } from './template.ts';

/** What an adapter is trained to do: to write the target, to prefer the chosen answer, or first one and then the other. */
export type Objective = 'SFT' | 'DPO' | 'SFT_THEN_DPO';

/** A further name for the prompt: the record of `source` whose `field` equals the rendered `equals`, or null. */
export interface ContextRule {
  readonly name: string;
  readonly source: string;
  readonly field: string;
  readonly equals: Template;
}

/** How a record of one source becomes an example: its input and target, where `when` holds. */
export interface ExampleRule {
  readonly when: (variables: Variables) => boolean;
  readonly input: Readonly<Record<string, Template>>;
  readonly target: Template;
}

/** A behaviour of the base model, as its file in `modes/` declares it. */
export interface Mode {
  readonly key: string;
  readonly title: string;
  readonly description: string;
  readonly sources: readonly string[];
  readonly objective: Objective;
  /** The reason why a value is no input of this mode, naming the field; null when it is one. */
  readonly checkInput: (input: Json) => string | null;
  readonly context: readonly ContextRule[];
  readonly prompt: readonly MessageTemplate[];
  /** By source, in the file's order. */
  readonly examples: ReadonlyMap<string, readonly ExampleRule[]>;
  readonly lora: {
    readonly rank: number;
    readonly alpha: number;
    readonly modules: readonly LoraModule[];
    /** So many layers, counted from the last one, are adapted; absent: all of them. */
    readonly topLayers?: number;
  };
  readonly training: TrainingChoices;
  /** Whose work the training is. */
  readonly trainsOn: TrainsOn;
  readonly incremental: IncrementalChoices;
  readonly preferences: PreferenceChoices;
  readonly trigger: { readonly debounceMs: number };
  readonly gate: GateChoices;
  readonly decode: { readonly maxTokens: number; readonly stop: readonly string[] };
  /** Null: any text. */
  readonly output: ModeOutput | null;
  /** Folder of the PEFT adapter that everyone starts from. */
  readonly shippedAdapter: string | null;
  /** What devices are told of it. */
  readonly definition: ModeDefinition;
  /** SHA-256 over all that shapes the examples: another one means that they must be made anew. */
  readonly shapeSha256: string;
}

/** What makes examples of records, on a server or a device. */
export type ExampleMaker = Pick<Mode, 'examples' | 'checkInput' | 'context' | 'prompt' | 'output'>;

/** All modes and sources of a server; made once, at the start. */
export interface ModeCatalog {
  readonly modes: readonly Mode[];
  readonly sources: readonly string[];
  /** Throws NOT_FOUND naming the key and the known ones. */
  mode(key: string): Mode;
  /** The fields by which the modes look for records of the source. */
  lookupFields(source: string): readonly string[];
  /** The modes that declare the source. */
  modesOf(source: string): readonly Mode[];
  /** Why a record does not fit its source, naming the field; null when it does. */
  validateRecord(source: string, data: Json): string | null;
}
