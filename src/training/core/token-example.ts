// From a prompt and a target to the tokens that a training step sees, and to whatever must be left out to fit.
// No text is fatal: what cannot be learned from is dropped, what is too long is cut, and a note says so.

import { isBinary } from '../../lib/binary-text.ts';
import type { ChatMessage } from '../../lib/chat-message.ts';
import type { Tokenizer } from '../../model/tokenizer/tokenizer.ts';

/** What a training set gives: a prompt and the text to answer it with. */
export interface PromptAndTarget {
  readonly messages: readonly ChatMessage[];
  readonly target: string;
  readonly sha256: string;
}

/** An example as tokens: the prompt's, then the target's, which end the turn unless they were cut. */
export interface TokenExample {
  readonly sha256: string;
  readonly ids: readonly number[];
  /** How many of the ids are prompt: the loss is taken on the rest. */
  readonly promptLength: number;
}

/** What was dropped or cut, for the run's record. */
export interface ExampleNote {
  readonly sha256: string;
  readonly note: string;
}

/** A part's examples, in the order of their hashes, and what was done to fit them. */
export interface TokenisedExamples {
  readonly examples: readonly TokenExample[];
  readonly notes: readonly ExampleNote[];
}

/** Tokenises a set; the result does not depend on the order it is given in.
 *  A target may take half of `maxTokens`, the prompt what the target leaves; a long target loses its end, a long
 *  prompt its middle, because a template's control tokens stand at both ends. An empty or binary target is dropped. */
export function tokenise(
  examples: readonly PromptAndTarget[],
  tokenizer: Tokenizer,
  maxTokens: number,
): TokenisedExamples {
  const sorted = [...examples].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
  const results = sorted.map((example) => tokeniseOne(example, tokenizer, maxTokens));
  return {
    examples: results.flatMap(({ example }) => example ?? []),
    notes: results.flatMap(({ note }, i) =>
      note === undefined ? [] : { sha256: sorted[i]?.sha256 ?? '', note },
    ),
  };
}

function tokeniseOne(
  { messages, target, sha256 }: PromptAndTarget,
  tokenizer: Tokenizer,
  maxTokens: number,
): { example?: TokenExample; note?: string } {
  if (target.trim() === '') return { note: 'dropped: its target is empty' };
  if (isBinary(target)) return { note: 'dropped: its target is binary' };
  const prompt = tokenizer.encodeChat(messages, { addGenerationPrompt: true });
  const answer = [...tokenizer.encode(target), ...tokenizer.eosTokenIds.slice(0, 1)];
  const keptAnswer = answer.slice(0, Math.floor(maxTokens / 2));
  const keptPrompt = withoutMiddle(prompt, maxTokens - keptAnswer.length);
  const example = { sha256, ids: [...keptPrompt, ...keptAnswer], promptLength: keptPrompt.length };
  const length = prompt.length + answer.length;
  if (length === example.ids.length) return { example };
  return { example, note: `cut from ${length} to ${example.ids.length} tokens` };
}

/** How often each kind of note was made; lengths are left out of it. */
export function countNotes(notes: readonly ExampleNote[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { note } of notes) {
    const kind = note.startsWith('cut ') ? 'cut to fit' : note;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

function withoutMiddle(ids: readonly number[], room: number): readonly number[] {
  if (ids.length <= room) return ids;
  const head = Math.ceil(room / 2);
  return [...ids.slice(0, head), ...ids.slice(ids.length - (room - head))];
}
