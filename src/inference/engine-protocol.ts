// What a request to the engine is, what comes back, and the messages between the server and the engine's process.

import type { ErrorCode } from '../lib/errors.ts';
import type { PrivateFolder } from '../sealing/private-folder.ts';
import type { Generation } from './core/generation.ts';
import type { TokenLogprob } from './core/logprobs.ts';

/** An adapter folder in PEFT format; `sha256` is that of its adapter_model.safetensors and names it in every cache. */
export interface AdapterFolder extends PrivateFolder {
  readonly sha256: string;
  /** Of the file that travels to devices, where the adapter has one. */
  readonly wireSha256?: string | undefined;
  /** The user whose it is, for `forget`; absent: nobody's. */
  readonly owner?: string | undefined;
}

/** An answer that is wanted of the engine. */
export interface EngineRequest extends Generation {
  /** Null: the bare base model. */
  readonly adapter: AdapterFolder | null;
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
      /** Of each token, where it was asked for. */
      readonly logprobs?: readonly TokenLogprob[];
    };

/** An error as a message between processes. */
export interface WireError {
  /** Null: not the caller's to read. */
  readonly code: ErrorCode | null;
  readonly message: string;
  readonly retryAfterMs?: number;
  /** The adapter whose fault it is, by its name. */
  readonly adapter?: string;
  readonly stack?: string;
}

/** What one step of the engine did for one request. */
export type RequestEvent =
  | {
      readonly kind: 'text';
      readonly id: number;
      readonly text: string;
      readonly tokens: number;
      readonly logprob?: TokenLogprob;
    }
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
  /** Whether a row that decodes alone guesses several tokens at a time (prompt-lookup.ts). */
  readonly speculation: boolean;
}

/** Server to engine. `start` comes first, once. */
export type EngineCommand =
  | { readonly kind: 'start'; readonly settings: EngineSettings }
  | { readonly kind: 'generate'; readonly id: number; readonly request: EngineRequest }
  | { readonly kind: 'cancel'; readonly id: number }
  | { readonly kind: 'warm'; readonly adapter: AdapterFolder }
  | { readonly kind: 'forget'; readonly owner: string }
  | { readonly kind: 'ping' }
  | { readonly kind: 'stop' };

/** Where an adapter was when an answer asked for it. */
export type AdapterTier = 'memory' | 'disk';

/** Engine to server: one `events` a run, however many rows it had; a `pong` for every ping. */
export type EngineReport =
  | { readonly kind: 'ready' }
  | { readonly kind: 'pong' }
  | { readonly kind: 'adapter'; readonly tier: AdapterTier }
  | { readonly kind: 'failed'; readonly error: WireError }
  | { readonly kind: 'events'; readonly events: readonly RequestEvent[] };
