// What a mode makes of a value from outside: a checked input, a prompt, and the key under which equal inputs are found.

import { canonicalJson, type Json } from '../lib/canonical-json.ts';
import type { ChatMessage } from '../lib/chat-message.ts';
import { AppError } from '../lib/errors.ts';
import { textSha256 } from '../lib/text-sha256.ts';
import type { ContextRule, Mode } from './mode.ts';
import { renderMessages, type Variables } from './template.ts';

/** The input itself when the mode takes it; throws BAD_INPUT naming the field otherwise. */
export function parseInput(mode: Mode, input: Json): Json {
  const reason = mode.checkInput(input);
  if (reason === null) return input;
  throw new AppError('BAD_INPUT', `mode "${mode.key}": ${reason}`);
}

/** The chat messages of an input; `context` holds what the mode's context rules found (`{}`: nothing). */
export function renderPrompt(
  mode: Pick<Mode, 'context' | 'prompt'>,
  input: Json,
  context: Variables,
): readonly ChatMessage[] {
  const missing = Object.fromEntries(mode.context.map(({ name }) => [name, null]));
  return renderMessages(mode.prompt, { ...missing, ...context, input });
}

/** Names an input: SHA-256 of its canonical JSON with white space collapsed, so that a mail and the draft it was
 *  completed from are the same. */
export function inputKey(input: Json): string {
  return textSha256(canonicalJson(collapseSpace(input)));
}

function collapseSpace(value: Json): Json {
  if (typeof value === 'string') return value.trim().replace(/\s+/g, ' ');
  if (Array.isArray(value)) return value.map(collapseSpace);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).map(([key, item]) => [key, collapseSpace(item)]);
  return Object.fromEntries(entries);
}

/** A record that a prompt wants to show. */
export interface Lookup {
  readonly rule: ContextRule;
  readonly key: string;
}

/** What the mode's context rules look for, given an input. */
export function lookupsOf(mode: Pick<Mode, 'context'>, input: Json): readonly Lookup[] {
  return mode.context
    .map((rule) => ({ rule, key: lookupKey(rule.equals.render({ input })) }))
    .filter(({ key }) => key !== '');
}

/** How values are compared in a lookup: A to Z count as a to z (SQL: `lower(value collate "C")`). */
export function lookupKey(value: string): string {
  return value.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
