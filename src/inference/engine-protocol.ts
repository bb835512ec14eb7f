// What a request to the engine is, what comes back, and the messages between the server and the engine's process.

import type { ErrorCode } from '../lib/errors.ts';

/** An adapter folder in PEFT format; `sha256` is that of its adapter_model.safetensors and names it in every cache. */
export interface AdapterFolder {
  readonly sha256: string;
  readonly dir: string;
}

/** One answer that is wanted. */
export interface EngineRequest {
  readonly promptIds: readonly number[];
  /** Null: the bare base model. */
  readonly adapter: AdapterFolder | null;
  /** Above 0; the context may end the answer sooner. */
  readonly maxTokens: number;
  /** 0: greedy, and then the same text every time. */
  readonly temperature: number;
  /** Above 0, at most 1. */
  readonly topP: number;
  /** Null: another one each time. */
  readonly seed: number | null;
  /** The answer ends before the first of these. None is empty. */
  readonly stop: readonly string[];
  /** Whose turn it is: users share the engine fairly. */
  readonly userId: string;
}

/** Why an answer ended: an end token or stop string, a limit on its length, or the caller. */
export type FinishReason = 'STOP' | 'LENGTH' | 'CANCELLED';

/** A piece of the answer, or its end. The pieces joined are the text; a piece never splits a character. */
export type EngineEvent =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'done';
      readonly finishReason: FinishReason;
      readonly text: string;
      readonly promptTokens: number;
      /** Tokens that the model wrote, an end token included. */
      readonly completionTokens: number;
    };

/** An error as a message between processes. */
export interface WireError {
  /** Null: not the caller's to read. */
  readonly code: ErrorCode | null;
  readonly message: string;
  readonly retryAfterMs?: number;
  readonly stack?: string;
}

/** What one step of the engine did for one request. */
export type RequestEvent =
  | { readonly kind: 'text'; readonly id: number; readonly text: string; readonly tokens: number }
  | {
      readonly kind: 'done';
      readonly id: number;
      readonly finishReason: 'STOP' | 'LENGTH';
      readonly tokens: number;
    }
  | { readonly kind: 'error'; readonly id: number; readonly error: WireError };

/** What an engine is started with. */
export interface EngineSettings {
  /** The folder of the base package. */
  readonly baseDir: string;
  readonly threads: number;
  /** The most memory that keys and values may take. */
  readonly kvBytes: number;
  /** The most memory that adapters may take which no request uses. */
  readonly adapterBytes: number;
}

/** Server to engine. `start` comes first, once. */
export type EngineCommand =
  | { readonly kind: 'start'; readonly settings: EngineSettings }
  | { readonly kind: 'generate'; readonly id: number; readonly request: EngineRequest }
  | { readonly kind: 'cancel'; readonly id: number }
  | { readonly kind: 'warm'; readonly adapter: AdapterFolder }
  | { readonly kind: 'stop' };

/** Engine to server: one `events` a run, however many rows it had. */
export type EngineReport =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly error: WireError }
  | { readonly kind: 'events'; readonly events: readonly RequestEvent[] };
