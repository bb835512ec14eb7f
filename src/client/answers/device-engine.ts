// What runs the base on a device, as the client sees it: in this thread (local-engine.ts), or in a Worker
// (worker-engine.ts), which is where a browser's belongs. The types of what goes in and out; nothing here runs.

import type {
  AdapterContent,
  AnswerHooks,
  DeviceAnswer,
} from '../../inference/core/device-model.ts';
import type { Generation } from '../../inference/core/generation.ts';
import type { Json } from '../../lib/canonical-json.ts';
import type { ChatMessage } from '../../lib/chat-message.ts';

/** A file's bytes, or its place where the platform's onnxruntime opens files itself. */
export type EngineFile = { readonly path: string } | { readonly bytes: Uint8Array };

/** A base's files. The engine owns the bytes from then on: they may be handed to another thread. */
export interface EngineBase {
  readonly sha256: string;
  readonly graph: EngineFile;
  /** `name` is what the graph calls them: their hash. */
  readonly weights: { readonly name: string; readonly content: EngineFile };
  readonly config: string;
  readonly tokenizer: string;
  readonly tokenizerConfig: string;
}

/** A prompt's templates, and what they may name. */
export interface EnginePrompt {
  readonly templates: readonly ChatMessage[];
  readonly variables: Readonly<Record<string, Json>>;
}

/** What to answer, and how. */
export interface EngineQuestion extends Omit<Generation, 'promptIds'> {
  readonly prompt: EnginePrompt;
  /** The hash of an adapter that was put into the engine; null: the bare base. */
  readonly adapter: string | null;
}

/** Runs one base. Calls are answered one after the other. Errors are an AppError BAD_INPUT for what is wrong with the
 *  question, and anything else for what is wrong with the engine. */
export interface DeviceEngine {
  /** Takes a base in place of the one before. */
  open(base: EngineBase): Promise<void>;
  /** Whether questions may name the adapter: an engine keeps a few. */
  hasAdapter(sha256: string): Promise<boolean>;
  putAdapter(sha256: string, content: AdapterContent): Promise<void>;
  answer(
    question: EngineQuestion,
    hooks?: Pick<AnswerHooks, 'onText' | 'signal'>,
  ): Promise<DeviceAnswer>;
  /** Frees the base; the engine may be opened again. */
  close(): Promise<void>;
}
