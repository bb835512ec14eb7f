// A mode as a device gets it: templates as text. Plain JSON; a device keeps it and compiles it where it is used.

import type { ChatMessage } from '../lib/chat-message.ts';
import type { LoraModule } from '../model/lora/lora.ts';
import type { DeviceTraining } from './device-training.ts';
import type { OutputShape } from './output-shape.ts';

/** Everything about a mode that a device needs to answer in it. */
export interface ModeDefinition {
  /** Further names that the prompt may use; each stands for a record of the user's. */
  readonly context: Readonly<Record<string, ContextEntry>>;
  readonly prompt: readonly ChatMessage[];
  readonly lora: {
    readonly rank: number;
    readonly alpha: number;
    readonly modules: readonly LoraModule[];
    /** So many layers, counted from the last one, are adapted; absent: all of them. */
    readonly topLayers?: number;
  };
  /** What every answer consists of; left out: any text. */
  readonly output?: OutputShape;
  readonly decode: { readonly maxTokens: number; readonly stop: readonly string[] };
  /** How devices train the mode; left out: they do not. */
  readonly training?: DeviceTraining;
}

/** The record of `source` whose field `where` equals the rendered `equals`, or null. */
export interface ContextEntry {
  readonly source: string;
  readonly where: string;
  readonly equals: string;
}
