// Tokens that steer the model, such as <|im_start|>. In text they look like any other characters, so a user could type one
// and speak as somebody else. Here is the one place that tells those which a chat template wrote from those a user typed:
// user text is disguised before it goes into the template, and only what is undisguised in the rendered text counts.

import { must } from '../../lib/errors.ts';

/** A token that steers the model, and how templates write it. */
export interface ControlToken {
  readonly id: number;
  readonly content: string;
}

/** Noncharacters: Unicode keeps them for a program's internal use, so no text that means anything has them. */
const FIRST_MASK = 0xfdd0;
const MASK_COUNT = 32;
const MASKS = /[\ufdd0-\ufdef]/g;

/** Finds the control tokens that a template wrote, and no others. */
export class ControlTokens {
  readonly tokens: readonly ControlToken[];
  readonly #idOf: ReadonlyMap<string, number>;
  readonly #pattern: RegExp | null;
  /** Characters of user text that are masked, with their masks. */
  readonly #maskOf: ReadonlyMap<string, string>;
  readonly #maskedBy: ReadonlyMap<string, string>;

  constructor(tokens: readonly ControlToken[]) {
    this.tokens = tokens;
    this.#idOf = new Map(tokens.map(({ id, content }) => [content, id]));
    this.#pattern = patternOf(tokens);
    const characters = [...new Set(tokens.flatMap(({ content }) => tellTaleCharacters(content)))];
    must(characters.length <= MASK_COUNT || null, `at most ${MASK_COUNT} masked characters`);
    this.#maskOf = new Map(characters.map((c, i) => [c, String.fromCharCode(FIRST_MASK + i)]));
    this.#maskedBy = new Map([...this.#maskOf].map(([character, mask]) => [mask, character]));
  }

  /** User text in which nothing can be taken for a control token or for a part of one, whatever stands around it.
   *  White space, letters and digits stay, so templates that trim or compare still work. */
  disguise(text: string): string {
    // a mask that the user typed would turn into something else below
    const clean = text.replace(MASKS, '\ufffd');
    return replaceEach(clean, this.#maskOf);
  }

  /** The rendered text as control tokens (numbers) and undisguised text between them (strings, none empty). */
  split(rendered: string): (string | number)[] {
    if (this.#pattern === null) return rendered === '' ? [] : [this.#undisguise(rendered)];
    // splitting at a pattern with one group gives text, token, text, token, ..., text
    return rendered.split(this.#pattern).flatMap((part, i): (string | number)[] => {
      if (i % 2 === 1) return [must(this.#idOf.get(part), `control token ${part}`)];
      return part === '' ? [] : [this.#undisguise(part)];
    });
  }

  #undisguise(text: string): string {
    return replaceEach(text, this.#maskedBy);
  }
}

/** Without these characters of the user's no control token can come about: all its marks, or else its first letter. */
function tellTaleCharacters(content: string): string[] {
  const marks = [...content].filter((character) => !/[\p{L}\p{N}\s]/u.test(character));
  return marks.length > 0 ? marks : [...content].slice(0, 1);
}

function patternOf(tokens: readonly ControlToken[]): RegExp | null {
  if (tokens.length === 0) return null;
  const longestFirst = [...tokens].sort((a, b) => b.content.length - a.content.length);
  const alternatives = longestFirst.map(({ content }) => escapeRegExp(content));
  return new RegExp(`(${alternatives.join('|')})`, 'u');
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

function replaceEach(text: string, replacements: ReadonlyMap<string, string>): string {
  let replaced = text;
  for (const [from, to] of replacements) replaced = replaced.replaceAll(from, to);
  return replaced;
}
