// Which tokens may come next where the answer must be of a shape. The shape is known byte by byte (modes/output-states.ts), a
// token is several bytes: this is where the two meet.

import type { OutputState } from '../../modes/output-states.ts';

/** A token of the vocabulary. */
interface Token {
  readonly id: number;
  readonly bytes: Uint8Array;
}

/** Tokens in the order of their bytes, so that those with a common beginning are looked at once. */
interface TokenList {
  readonly tokens: readonly Token[];
  /** How many bytes each token has in common with the one before it. */
  readonly shared: readonly number[];
}

/** The tokens of a base, as bytes. Made once: it takes some tenths of a second and some megabytes. */
export class Vocabulary {
  readonly #bytes: ReadonlyMap<number, Uint8Array>;
  readonly #all: TokenList;
  /** Those that may end a string or split a character; all others are whole characters that a string takes as they are. */
  readonly #special: TokenList;
  /** By id: characters of a token that a string takes as it is, 0 for all others. */
  readonly #characters: Uint8Array;

  /** Takes the bytes of each token by id, and how many ids the model knows.
   *  Throws where a byte that JSON needs has no token of its own: an answer could get stuck. */
  constructor(bytes: ReadonlyMap<number, Uint8Array>, size: number) {
    const tokens = [...bytes]
      .map(([id, text]) => ({ id, bytes: text }))
      .filter((token) => token.bytes.length > 0 && token.id < size);
    checkBytes(tokens);
    this.#bytes = bytes;
    this.#characters = new Uint8Array(size);
    for (const token of tokens) this.#characters[token.id] = plainCharacters(token.bytes);
    this.#all = listOf(tokens);
    this.#special = listOf(tokens.filter(({ id }) => this.#characters[id] === 0));
  }

  /** The bytes of a token. Throws for one that writes no text. */
  bytesOf(id: number): Uint8Array {
    const bytes = this.#bytes.get(id);
    if (bytes === undefined) throw new RangeError(`token ${id} writes no text`);
    return bytes;
  }

  /** By id: 1 where the token may come next.   u8[V] */
  allowedAt(state: OutputState): Uint8Array {
    const { room } = state;
    if (room === undefined) return this.#walk(this.#all, state, new Uint8Array(this.#size));
    // nearly every token may go on a string: only the few special ones are taken byte by byte
    const allowed = this.#characters.map((count) => Number(count > 0 && count <= room));
    return this.#walk(this.#special, state, allowed);
  }

  get #size(): number {
    return this.#characters.length;
  }

  /** Marks the tokens all of whose bytes lead somewhere. */
  #walk({ tokens, shared }: TokenList, start: OutputState, allowed: Uint8Array): Uint8Array {
    // states[n]: behind n bytes of the token at hand
    const states: OutputState[] = [start];
    for (const [i, { id, bytes }] of tokens.entries()) {
      const common = shared[i] as number;
      // the byte that led nowhere is in this token too
      if (common >= states.length) continue;
      states.length = common + 1;
      while (states.length <= bytes.length) {
        const next = states.at(-1)?.step(bytes[states.length - 1] as number) ?? null;
        if (next === null) break;
        states.push(next);
      }
      if (states.length > bytes.length) allowed[id] = 1;
    }
    return allowed;
  }
}

function listOf(unsorted: readonly Token[]): TokenList {
  const tokens = [...unsorted].sort((a, b) => compareBytes(a.bytes, b.bytes));
  const shared = tokens.map(({ bytes }, i) => commonLength(bytes, tokens[i - 1]?.bytes));
  return { tokens, shared };
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const at = commonLength(a, b);
  return (a[at] ?? -1) - (b[at] ?? -1);
}

function commonLength(a: Uint8Array, b: Uint8Array = new Uint8Array()): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length += 1;
  return length;
}

const MAX_COUNT = 255;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** How many characters a token adds to a string; 0 where it is not made of whole ones, or one of them means something. */
function plainCharacters(bytes: Uint8Array): number {
  if (bytes.some((byte) => byte < 0x20 || byte === 0x22 || byte === 0x5c)) return 0;
  try {
    const count = [...decoder.decode(bytes)].length;
    return count <= MAX_COUNT ? count : 0;
  } catch {
    return 0; // a part of a character
  }
}

/** Printable ASCII, and the bytes that end any other character. */
const NEEDED = [
  ...Array.from({ length: 0x5f }, (_, i) => 0x20 + i),
  ...Array.from({ length: 0x40 }, (_, i) => 0x80 + i),
];

function checkBytes(tokens: readonly Token[]): void {
  const single = new Set(tokens.flatMap(({ bytes }) => (bytes.length === 1 ? [...bytes] : [])));
  const missing = NEEDED.filter((byte) => !single.has(byte));
  if (missing.length === 0) return;
  const shown = missing.map((byte) => byte.toString(16)).join(' ');
  throw new Error(`this base cannot answer in JSON: it has no token for the bytes ${shown}`);
}
