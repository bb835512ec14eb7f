import type { TokenStream } from './tokenizer.ts';

/** Streams what `decode` gives. Bytes that do not make up a character yet decode to U+FFFD at the end of the text, so the
 *  text is held back until it ends otherwise. Costs two decodings of the last few tokens per token. */
export function openTokenStream(decode: (ids: readonly number[]) => string): TokenStream {
  /** Tokens whose text was given out already: some decoders treat the start of a text in a special way. */
  let given: number[] = [];
  let held: number[] = [];
  const heldText = () => decode([...given, ...held]).slice(decode(given).length);
  return {
    push(id) {
      held.push(id);
      const text = heldText();
      if (text === '' || text.endsWith('\ufffd')) return '';
      given = held;
      held = [];
      return text;
    },
    end() {
      const text = heldText();
      given = [];
      held = [];
      return text;
    },
  };
}
