// What is fit to learn from. Records are whatever a phone sends: empty mails, attachments pasted as text, novels.
// docs/datasets.md states these rules for users.

import { isBinary } from '../../lib/binary-text.ts';
import type { Json } from '../../lib/canonical-json.ts';

/** Longer texts of an input are cut here: a prompt is read in full by every step of training. */
export const MAX_INPUT_CHARACTERS = 4_000;

/** An example with a longer target is dropped: a cut answer would teach to stop in the middle of a sentence. */
export const MAX_TARGET_CHARACTERS = 2_000;

/** Whether a text can be a target. */
export function isTarget(text: string): boolean {
  return isAnswer(text) && text.length <= MAX_TARGET_CHARACTERS;
}

/** Whether a text says anything, so that a trainer does not drop it. */
export function isAnswer(text: string): boolean {
  return text.trim() !== '' && !isBinary(text);
}

/** All texts in a value. */
export function textsOf(value: Json): readonly string[] {
  if (typeof value === 'string') return [value];
  if (value === null || typeof value !== 'object') return [];
  return Object.values(value).flatMap(textsOf);
}

/** The value with long texts cut after a word. */
export function cutTexts(value: Json): Json {
  if (typeof value === 'string') return cutText(value);
  if (Array.isArray(value)) return value.map(cutTexts);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, cutTexts(item)]));
}

function cutText(text: string): string {
  if (text.length <= MAX_INPUT_CHARACTERS) return text;
  const head = text.slice(0, MAX_INPUT_CHARACTERS);
  const lastSpace = head.search(/\s\S*$/);
  // half a surrogate pair at the end of a text without spaces would not be Unicode
  return (lastSpace > 0 ? head.slice(0, lastSpace) : head).replace(/[\ud800-\udbff]$/, '');
}
