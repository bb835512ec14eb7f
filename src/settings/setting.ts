// What a setting is, and how the texts of flags and variables become values. A parse function returns undefined for what does
// not fit.

import { resolve } from 'node:path';

export interface Setting<T> {
  readonly flag: string;
  readonly env: string;
  readonly placeholder: string;
  readonly description: string;
  /** What `parse` takes, in words, for the error message. */
  readonly expected: string;
  /** The value is shown to nobody, not even in an error. */
  readonly isSecret?: boolean;
  /** The text used when neither flag nor variable is set; null: the setting is absent. */
  readonly fallback: string | null;
  /** Returns undefined when the text does not fit. */
  readonly parse: (text: string) => T | undefined;
}

export function wholeNumber(text: string, min: number, max: number): number | undefined {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : undefined;
}

export function nonEmpty(text: string): string | undefined {
  return text === '' ? undefined : text;
}

export function list(text: string): readonly string[] | undefined {
  const keys = text.split(',').map((key) => key.trim());
  return keys.includes('') ? undefined : keys;
}

export function path(text: string): string | undefined {
  return text === '' ? undefined : resolve(text);
}

export function url(text: string, protocols: readonly string[]): string | undefined {
  return URL.canParse(text) && protocols.includes(new URL(text).protocol) ? text : undefined;
}

export function yesOrNo(text: string): boolean | undefined {
  return { yes: true, no: false }[text];
}
