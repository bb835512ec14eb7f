// The tables of what users were answered, and what they thought of it.

import type { Generated } from 'kysely';
import type { NullableSealedColumn, NullableTimestamp, Timestamp } from './columns.ts';

/** Why an answer ended. */
export type FinishReason = 'STOP' | 'LENGTH' | 'CANCELLED';
/** What the user thought of an answer. */
export type Verdict = 'UP' | 'DOWN';

export interface CompletionsTable {
  id: Generated<string>;
  seq: Generated<number>;
  userId: string;
  mode: string;
  /** The caller's own id, unique within the user. */
  clientId: string | null;
  /** Null (and text and inputSha256 empty) once a delete of the record it was made from has erased it. */
  input: NullableSealedColumn;
  /** What the prompt showed besides the input, such as a contact. */
  context: NullableSealedColumn;
  /** Keyed hash of the input's `inputKey`. */
  inputSha256: string;
  text: NullableSealedColumn;
  adapterId: string | null;
  dataThrough: number | null;
  promptTokens: number;
  completionTokens: number;
  finishReason: FinishReason;
  verdict: Verdict | null;
  better: NullableSealedColumn;
  /** The completion of the same input that the user preferred to this one. */
  preferredId: string | null;
  ratedAt: NullableTimestamp;
  createdAt: Timestamp;
}

/** Every record whose content the prompt of a completion showed besides its input. */
export interface CompletionRecordsTable {
  completionId: string;
  userId: string;
  source: string;
  recordId: string;
}

/** A chosen and a rejected answer to one input, made from ratings; it has a place in the user's change order and is
 *  part of the datasets folded at changeSeq <= n < untilSeq. */
export interface PreferencesTable {
  id: Generated<string>;
  userId: string;
  mode: string;
  /** The completion whose text was rejected. */
  completionId: string;
  /** The adapter that wrote the rejected text; null: the bare base. */
  adapterId: string | null;
  /** The texts are null once another rating has replaced the pair. */
  input: NullableSealedColumn;
  context: NullableSealedColumn;
  inputSha256: string;
  chosen: NullableSealedColumn;
  rejected: NullableSealedColumn;
  /** SHA-256 over input, context, chosen and rejected. */
  sha256: string;
  changeSeq: number;
  untilSeq: number | null;
  createdAt: Timestamp;
}
