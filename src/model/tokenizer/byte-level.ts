// Byte-level BPE writes each byte of the UTF-8 text as one visible character (GPT-2's table).

/** The character that stands for each byte: printable Latin-1 for itself, the rest counted up from U+0100. */
export const BYTE_CHARACTERS: readonly string[] = byteCharacters();

function byteCharacters(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const isVisible =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    if (isVisible) return String.fromCharCode(byte);
    next += 1;
    return String.fromCharCode(next - 1);
  });
}

/** Returns the function that replaces what a byte-level vocabulary cannot write: SmolLM2's, for one, lacks 21 bytes.
 *  A character with such a byte becomes U+FFFD, or nothing where that cannot be written either, instead of turning into
 *  broken UTF-8 or into the unknown-token. */
export function replaceUnwritable(vocab: {
  has(token: string): boolean;
}): (text: string) => string {
  const isWritable = (text: string) =>
    encoder.encode(text).every((byte) => vocab.has(BYTE_CHARACTERS[byte] as string));
  if (BYTE_CHARACTERS.every((character) => vocab.has(character))) return (text) => text;
  const replacement = isWritable('\ufffd') ? '\ufffd' : '';
  return (text) => {
    if (isWritable(text)) return text;
    return Array.from(text, (character) => (isWritable(character) ? character : replacement)).join(
      '',
    );
  };
}

const encoder = new TextEncoder();
