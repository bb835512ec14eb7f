// An automaton over bytes that accepts the JSON texts of a shape: UTF-8, no white space, fields in the shape's order. From every
// state some text leads to the end, so whoever only takes steps that there are never gets stuck. It knows nothing of tokens.

import { MAX_DIGITS, type OutputField, type OutputShape, type Range } from './output-shape.ts';

/** A place within a text. Never changed. */
export interface OutputState {
  /** The place behind one more byte; null when no text of the shape goes on so. */
  step(byte: number): OutputState | null;
  /** Within a string, between two of its characters: how many more it may have. */
  readonly room?: number;
}

/** Behind the whole text. */
export const OUTPUT_END: OutputState = { step: () => null };

/** Before a text of the shape. */
export function outputStart(shape: OutputShape): OutputState {
  return before(shape, OUTPUT_END);
}

/** Whether a text is one of the shape. */
export function isOutput(shape: OutputShape, text: string): boolean {
  let state: OutputState | null = outputStart(shape);
  for (const byte of new TextEncoder().encode(text)) {
    state = state.step(byte);
    if (state === null) return false;
  }
  return state === OUTPUT_END;
}

/** Before a value that `next` follows. */
function before(shape: OutputShape, next: OutputState): OutputState {
  switch (shape.kind) {
    case 'literal':
      return oneOf(shape.texts.map((text) => [text, () => next]));
    case 'string':
      return oneOf([['"', () => new InString(shape.length, 0, next)]]);
    case 'object':
      return oneOf([['{', () => beforeField(shape.fields, { isFirst: true, next })]]);
    case 'array':
      return oneOf([['[', () => beforeItem(shape, next)]]);
    case 'integer':
      return new InInteger(shape, { sign: 1, digits: 0, value: 0 }, next);
    case 'number':
      return new InNumber('start', 0, next);
    case 'either':
      return either(shape.shapes.map((one) => before(one, next)));
  }
}

/** Before the first of some fields, those in front of a required one being optional, or before the object's end. */
function beforeField(
  fields: readonly OutputField[],
  { isFirst, next }: { isFirst: boolean; next: OutputState },
): OutputState {
  const firstRequired = fields.findIndex(({ isRequired }) => isRequired);
  const count = firstRequired < 0 ? fields.length : firstRequired + 1;
  const options = fields.slice(0, count).map(({ name, shape }, i): Option => {
    const after = () => beforeField(fields.slice(i + 1), { isFirst: false, next });
    const key = `${isFirst ? '' : ','}${JSON.stringify(name)}:`;
    return [key, () => before(shape, after())];
  });
  return oneOf(firstRequired < 0 ? [...options, ['}', () => next]] : options);
}

type ArrayShape = Extract<OutputShape, { kind: 'array' }>;

function beforeItem(shape: ArrayShape, next: OutputState): OutputState {
  const { minimum, maximum } = shape.length;
  const end = oneOf([[']', () => next]]);
  if (maximum === 0) return end;
  const item = before(shape.items, behindItem(shape, 1, next));
  return minimum === 0 ? either([end, item]) : item;
}

function behindItem(shape: ArrayShape, count: number, next: OutputState): OutputState {
  const { minimum, maximum } = shape.length;
  const more: Option = [',', () => before(shape.items, behindItem(shape, count + 1, next))];
  const end: Option = [']', () => next];
  return oneOf([
    ...(count >= minimum ? [end] : []),
    ...(maximum === null || count < maximum ? [more] : []),
  ]);
}

/** A text, and the place behind it. */
type Option = readonly [text: string, next: () => OutputState];

function oneOf(options: readonly Option[]): OutputState {
  const encoder = new TextEncoder();
  return new InLiteral(
    options.map(([text, next]) => ({ bytes: encoder.encode(text), next })),
    0,
  );
}

/** Within one of several texts. */
class InLiteral implements OutputState {
  readonly #options: readonly { readonly bytes: Uint8Array; next(): OutputState }[];
  readonly #at: number;

  constructor(options: readonly { bytes: Uint8Array; next(): OutputState }[], at: number) {
    this.#options = options;
    this.#at = at;
  }

  step(byte: number): OutputState | null {
    const at = this.#at;
    const left = this.#options.filter(({ bytes }) => bytes[at] === byte);
    const [first] = left;
    // a text that others begin with, such as 1 beside 12, is over when none of those goes on
    if (first === undefined)
      return (
        this.#options
          .find(({ bytes }) => bytes.length === at)
          ?.next()
          .step(byte) ?? null
      );
    const isOver = left.length === 1 && first.bytes.length === at + 1;
    return isOver ? first.next() : new InLiteral(left, at + 1);
  }
}

/** Before values that differ in their first byte. */
function either(states: readonly OutputState[]): OutputState {
  return {
    step: (byte) => {
      for (const state of states) {
        const next = state.step(byte);
        if (next !== null) return next;
      }
      return null;
    },
  };
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ESCAPED = new TextEncoder().encode('"\\/bfnrt');

/** Behind some characters of a string. Control characters are written as \b, \f, \n, \r or \t, or not at all. */
class InString implements OutputState {
  readonly #length: Range;
  readonly #count: number;
  readonly #next: OutputState;

  constructor(length: Range, count: number, next: OutputState) {
    this.#length = length;
    this.#count = count;
    this.#next = next;
  }

  get room(): number {
    return (this.#length.maximum ?? Number.POSITIVE_INFINITY) - this.#count;
  }

  step(byte: number): OutputState | null {
    if (byte === QUOTE) return this.#count >= this.#length.minimum ? this.#next : null;
    if (this.room <= 0) return null;
    const longer = new InString(this.#length, this.#count + 1, this.#next);
    if (byte === BACKSLASH)
      return { step: (escaped) => (ESCAPED.includes(escaped) ? longer : null) };
    if (byte < 0x80) return byte >= 0x20 ? longer : null;
    const rest = CONTINUATIONS.find(({ from, to }) => byte >= from && byte <= to);
    return rest === undefined ? null : within(rest.bytes, longer);
  }
}

const ANY = [0x80, 0xbf] as const;

/** What follows a first byte of UTF-8. Source: Unicode 15, table 3-7. */
// biome-ignore format: a table
const CONTINUATIONS: readonly { from: number; to: number; bytes: readonly (readonly [number, number])[] }[] = [
  { from: 0xc2, to: 0xdf, bytes: [ANY] },
  { from: 0xe0, to: 0xe0, bytes: [[0xa0, 0xbf], ANY] },
  { from: 0xe1, to: 0xec, bytes: [ANY, ANY] },
  { from: 0xed, to: 0xed, bytes: [[0x80, 0x9f], ANY] },
  { from: 0xee, to: 0xef, bytes: [ANY, ANY] },
  { from: 0xf0, to: 0xf0, bytes: [[0x90, 0xbf], ANY, ANY] },
  { from: 0xf1, to: 0xf3, bytes: [ANY, ANY, ANY] },
  { from: 0xf4, to: 0xf4, bytes: [[0x80, 0x8f], ANY, ANY] },
];

/** Within a character whose further bytes lie in these ranges. */
function within(ranges: readonly (readonly [number, number])[], next: OutputState): OutputState {
  const [range, ...others] = ranges;
  if (range === undefined) return next;
  return {
    step: (byte) => (byte >= range[0] && byte <= range[1] ? within(others, next) : null),
  };
}

const ZERO = 0x30;
const MINUS = 0x2d;
const POINT = 0x2e;

function digitOf(byte: number): number | null {
  return byte >= ZERO && byte <= ZERO + 9 ? byte - ZERO : null;
}

interface Bounds {
  readonly minimum: number;
  readonly maximum: number;
}

interface Written {
  readonly sign: 1 | -1;
  readonly digits: number;
  readonly value: number;
}

/** Behind some digits of an integer. */
class InInteger implements OutputState {
  readonly #range: Bounds;
  readonly #written: Written;
  readonly #next: OutputState;

  constructor(range: Bounds, written: Written, next: OutputState) {
    this.#range = range;
    this.#written = written;
    this.#next = next;
  }

  step(byte: number): OutputState | null {
    const { sign, digits, value } = this.#written;
    const digit = digitOf(byte);
    if (byte === MINUS && digits === 0 && sign === 1)
      return this.#range.minimum < 0 ? this.#with({ sign: -1, digits: 0, value: 0 }) : null;
    const isZero = digits > 0 && value === 0;
    if (digit === null || isZero) return this.#isWhole() ? this.#next.step(byte) : null;
    const written = { sign, digits: digits + 1, value: value * 10 + digit };
    return this.#isReachable(written) ? this.#with(written) : null;
  }

  #with(written: Written): InInteger {
    return new InInteger(this.#range, written, this.#next);
  }

  #isWhole(): boolean {
    const { sign, digits, value } = this.#written;
    const { minimum, maximum } = this.#range;
    return digits > 0 && sign * value >= minimum && sign * value <= maximum;
  }

  /** Whether some integer of the range begins so. */
  #isReachable({ sign, digits, value }: Written): boolean {
    const { minimum, maximum } = this.#range;
    if (value === 0) return sign === 1 && minimum <= 0 && maximum >= 0;
    for (let more = 0; digits + more <= MAX_DIGITS; more += 1) {
      const near = value * 10 ** more;
      const far = near + 10 ** more - 1;
      const [least, most] = sign === 1 ? [near, far] : [-far, -near];
      if (least <= maximum && most >= minimum) return true;
    }
    return false;
  }
}

type NumberPart = 'start' | 'minus' | 'zero' | 'whole' | 'point' | 'fraction';

/** Behind some characters of a number: no exponent, at most MAX_DIGITS before and behind the point. */
class InNumber implements OutputState {
  readonly #part: NumberPart;
  readonly #digits: number;
  readonly #next: OutputState;

  constructor(part: NumberPart, digits: number, next: OutputState) {
    this.#part = part;
    this.#digits = digits;
    this.#next = next;
  }

  step(byte: number): OutputState | null {
    const part = this.#part;
    const digit = digitOf(byte);
    if (digit !== null) return this.#withDigit(digit);
    if (byte === MINUS && part === 'start') return new InNumber('minus', 0, this.#next);
    if (byte === POINT && (part === 'zero' || part === 'whole'))
      return new InNumber('point', 0, this.#next);
    const isWhole = part === 'zero' || part === 'whole' || part === 'fraction';
    return isWhole ? this.#next.step(byte) : null;
  }

  #withDigit(digit: number): OutputState | null {
    const part = this.#part;
    if (part === 'zero' || this.#digits >= MAX_DIGITS) return null;
    const isFirst = part === 'start' || part === 'minus';
    if (isFirst) return new InNumber(digit === 0 ? 'zero' : 'whole', 1, this.#next);
    const isFraction = part === 'point' || part === 'fraction';
    return new InNumber(isFraction ? 'fraction' : 'whole', this.#digits + 1, this.#next);
  }
}
