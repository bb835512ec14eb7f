import type { Json } from '../lib/canonical-json.ts';
import { LORA_MODULES, type LoraModule, MAX_LORA_RANK } from '../model/lora/lora.ts';
import type {
  GateChoices,
  IncrementalChoices,
  PreferenceChoices,
  TrainingChoices,
} from './choices.ts';
import type { ContextEntry } from './definition.ts';
import type { ExampleEntry, TrainsOn } from './device-training.ts';
import type { JsonSchema } from './json-schema.ts';
import type { Objective } from './mode.ts';

const text: JsonSchema = { type: 'string', minLength: 1 };
const positive: JsonSchema = { type: 'number', exclusiveMinimum: 0 };

/** An object with exactly these fields, `optional` ones aside. */
function exactly(fields: { readonly [name: string]: Json }, ...optional: string[]): JsonSchema {
  const required = Object.keys(fields).filter((name) => !optional.includes(name));
  return { type: 'object', properties: fields, required, additionalProperties: false };
}

function listOf(items: Json, minItems: number): JsonSchema {
  return { type: 'array', items, minItems };
}

function integer(minimum: number, maximum: number): JsonSchema {
  return { type: 'integer', minimum, maximum };
}

/** What a mode that does not say otherwise does; docs/modes.md repeats it. */
export const INCREMENTAL_DEFAULTS: IncrementalChoices = {
  rebuildShare: 0.3,
  epochs: 1,
  learningRateShare: 0.5,
  replay: 1,
};

/** As INCREMENTAL_DEFAULTS. */
export const PREFERENCE_DEFAULTS: PreferenceChoices = {
  reference: 'base',
  drafts: false,
  thumbs: true,
};

/** As INCREMENTAL_DEFAULTS; docs/lab-log.md has what adapters of the shipped modes cost on the probe. */
export const GATE_DEFAULTS: Pick<GateChoices, 'probeMarginNats' | 'watchRatings'> = {
  probeMarginNats: 1,
  watchRatings: true,
};

/** The shape of `modes/<key>.yaml`; docs/modes.md explains every field. */
export const MODE_FILE_SCHEMA: JsonSchema = exactly(
  {
    key: { type: 'string', pattern: '^[a-z][a-z0-9-]{0,63}$' },
    title: text,
    description: text,
    sources: { ...listOf(text, 1), uniqueItems: true },
    objective: { enum: ['SFT', 'DPO', 'SFT_THEN_DPO'] },
    input: {
      type: 'object',
      properties: { type: { const: 'object' }, properties: { type: 'object', minProperties: 1 } },
      required: ['type', 'properties'],
    },
    context: {
      type: 'object',
      propertyNames: { pattern: '^[A-Za-z_]\\w*$' },
      additionalProperties: exactly({ source: text, where: text, equals: text }),
    },
    prompt: listOf(
      exactly({ role: { enum: ['system', 'user', 'assistant'] }, content: { type: 'string' } }),
      1,
    ),
    examples: {
      type: 'object',
      additionalProperties: listOf(
        exactly(
          { when: text, input: { type: 'object', additionalProperties: text }, target: text },
          'when',
        ),
        1,
      ),
    },
    lora: exactly(
      {
        rank: integer(1, MAX_LORA_RANK),
        alpha: positive,
        targets: {
          if: { type: 'string' },
          // biome-ignore lint/suspicious/noThenProperty: JSON Schema's own keyword
          then: { const: 'all' },
          else: { ...listOf({ enum: [...LORA_MODULES] }, 1), uniqueItems: true },
        },
        topLayers: integer(1, 1000),
      },
      'topLayers',
    ),
    training: exactly(
      {
        learningRate: positive,
        epochs: integer(1, 1000),
        batchSize: integer(1, 256),
        maxTokens: integer(16, 8192),
        where: { enum: ['server', 'device', 'both'] },
      },
      'where',
    ),
    incremental: exactly(
      {
        rebuildShare: { type: 'number', minimum: 0, maximum: 1 },
        epochs: integer(1, 1000),
        learningRateShare: positive,
        replay: { type: 'number', minimum: 0 },
      },
      ...Object.keys(INCREMENTAL_DEFAULTS),
    ),
    preferences: exactly(
      {
        reference: { enum: ['base', 'start'] },
        drafts: { type: 'boolean' },
        thumbs: { type: 'boolean' },
      },
      ...Object.keys(PREFERENCE_DEFAULTS),
    ),
    trigger: exactly({ debounceMs: integer(0, 24 * 3_600_000) }),
    gate: exactly(
      {
        marginNats: { type: 'number', minimum: 0 },
        minHoldout: integer(1, 1_000_000),
        probeMarginNats: { type: 'number', minimum: 0 },
        watchRatings: { type: 'boolean' },
      },
      ...Object.keys(GATE_DEFAULTS),
    ),
    decode: exactly({ maxTokens: integer(1, 8192), stop: listOf(text, 0) }),
    output: exactly({ schema: { type: 'object' } }),
    shippedAdapter: text,
  },
  'context',
  'output',
  'incremental',
  'preferences',
  'shippedAdapter',
);

/** A file that fits MODE_FILE_SCHEMA. */
export interface ModeFile {
  readonly key: string;
  readonly title: string;
  readonly description: string;
  readonly sources: readonly string[];
  readonly objective: Objective;
  readonly input: JsonSchema;
  readonly context?: Readonly<Record<string, ContextEntry>>;
  readonly prompt: readonly {
    readonly role: 'system' | 'user' | 'assistant';
    readonly content: string;
  }[];
  readonly examples: Readonly<Record<string, readonly ExampleEntry[]>>;
  readonly lora: {
    readonly rank: number;
    readonly alpha: number;
    readonly targets: 'all' | readonly LoraModule[];
    readonly topLayers?: number;
  };
  readonly training: TrainingChoices & { readonly where?: TrainsOn };
  readonly incremental?: Partial<IncrementalChoices>;
  readonly preferences?: Partial<PreferenceChoices>;
  readonly trigger: { readonly debounceMs: number };
  readonly gate: Omit<GateChoices, keyof typeof GATE_DEFAULTS> & Partial<GateChoices>;
  readonly decode: { readonly maxTokens: number; readonly stop: readonly string[] };
  readonly output?: { readonly schema: JsonSchema };
  readonly shippedAdapter?: string;
}
