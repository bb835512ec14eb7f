// A Hugging Face tokenizer.json: checked once, and cut down to what plain text may use.

import type { Json } from '../../lib/canonical-json.ts';
import { badFile } from '../bad-file.ts';
import { BYTE_CHARACTERS } from './byte-level.ts';
import type { ControlToken } from './control-tokens.ts';

/** A checked tokenizer.json, as far as we look into it. */
export interface TokenizerJson {
  readonly [key: string]: Json;
  readonly added_tokens: readonly AddedToken[];
  readonly model: BpeModel;
}

interface AddedToken {
  readonly [key: string]: Json;
  readonly id: number;
  readonly content: string;
}

interface BpeModel {
  readonly [key: string]: Json;
  readonly vocab: { readonly [token: string]: number };
  readonly merges: readonly (string | readonly string[])[];
}

/** A vocabulary larger than any; keeps a hostile file from growing arrays without end. */
const MAX_TOKEN_ID = 1 << 22;

/** Checks the parsed file. Throws BAD_INPUT unless it is a BPE tokenizer, as those of Llama models are. */
export function parseTokenizerJson(json: Json, label: string): TokenizerJson {
  const { model, added_tokens: added = [] } = object(json, label);
  const { type, vocab, merges } = object(model, `${label}, model`);
  if (type !== 'BPE')
    throw badFile(`${label}: model type is ${JSON.stringify(type)}, expected "BPE"`);
  const ids = Object.values(object(vocab, `${label}, vocab`));
  if (!ids.every(isTokenId)) throw badFile(`${label}: vocab holds something else than token ids`);
  if (!Array.isArray(merges) || !merges.every(isMerge))
    throw badFile(`${label}: merges are not a list of pairs`);
  if (!Array.isArray(added) || !added.every(isAddedToken))
    throw badFile(`${label}: added_tokens are not a list of tokens with id and content`);
  return { ...object(json, label), added_tokens: added } as unknown as TokenizerJson;
}

/** Every token with its id, the added ones included. */
export function tokenIds(json: TokenizerJson): Map<string, number> {
  const added = json.added_tokens.map(({ content, id }) => [content, id] as const);
  return new Map([...Object.entries(json.model.vocab), ...added]);
}

/** The tokens that steer the model: those the file calls special, and those with one of the `extraIds`. */
export function controlTokens(
  json: TokenizerJson,
  extraIds: ReadonlySet<number>,
): readonly ControlToken[] {
  const special = new Set(json.added_tokens.filter((token) => token.special).map(({ id }) => id));
  return [...tokenIds(json)]
    .filter(([, id]) => special.has(id) || extraIds.has(id))
    .map(([content, id]) => ({ id, content }));
}

/** The same tokenizer without these tokens and without what would produce or add them: no text can become one. */
export function withoutTokens(
  json: TokenizerJson,
  removed: readonly ControlToken[],
): TokenizerJson {
  const contents = new Set(removed.map(({ content }) => content));
  const { vocab, merges } = json.model;
  const keptVocab = Object.entries(vocab).filter(([token]) => !contents.has(token));
  const parts = (merge: string | readonly string[]) =>
    typeof merge === 'string' ? merge.split(' ', 2) : merge;
  return {
    ...json,
    added_tokens: json.added_tokens.filter(({ content }) => !contents.has(content)),
    post_processor: null,
    model: {
      ...json.model,
      // text that the vocabulary cannot write must not turn into an unknown-token, which may be a control token
      unk_token: null,
      vocab: Object.fromEntries(keptVocab),
      merges: merges.filter((merge) => !contents.has(parts(merge).join(''))),
    },
  };
}

/** The bytes of each token by its id. Vocabularies write them in GPT-2's byte characters, or as SentencePiece does: a space
 *  as U+2581, and bytes that are no character as <0xE2>. */
export function tokenBytes(json: TokenizerJson): ReadonlyMap<number, Uint8Array> {
  const added = json.added_tokens.map(({ id, content }) => [id, utf8.encode(content)] as const);
  const read = isByteLevel(json) ? fromByteCharacters : fromSentencePiece;
  const vocab = Object.entries(json.model.vocab).map(([text, id]) => [id, read(text)] as const);
  return new Map([...vocab, ...added]);
}

const utf8 = new TextEncoder();
const BYTES = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));

function fromByteCharacters(token: string): Uint8Array {
  return Uint8Array.from(token, (character) => BYTES.get(character) ?? 0);
}

function fromSentencePiece(token: string): Uint8Array {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(token)?.[1];
  return byte === undefined
    ? utf8.encode(token.replaceAll('\u2581', ' '))
    : Uint8Array.of(Number.parseInt(byte, 16));
}

/** Whether tokens are written in GPT-2's byte characters. */
export function isByteLevel(json: TokenizerJson): boolean {
  return JSON.stringify(json.decoder ?? null).includes('"ByteLevel"');
}

function object(value: Json | undefined, label: string): { readonly [key: string]: Json } {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject) throw badFile(`${label}: expected a JSON object`);
  return value as { readonly [key: string]: Json };
}

function isTokenId(value: Json | undefined): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_TOKEN_ID;
}

function isMerge(value: Json): boolean {
  if (typeof value === 'string') return value.includes(' ');
  return Array.isArray(value) && value.length === 2 && value.every((v) => typeof v === 'string');
}

function isAddedToken(value: Json): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const { id, content } = value as { readonly [key: string]: Json };
  return isTokenId(id) && typeof content === 'string' && content !== '';
}
