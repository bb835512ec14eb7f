// FNV-1a with 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/): against mistakes and torn writes, not against people.
// Needs nothing of the platform, so that a phone without WebCrypto has it too.

const OFFSET = 0xcbf29ce484222325n;
const PRIME = 0x100000001b3n;

/** The hash of the text's UTF-8, as 16 hex digits. */
export function fnv1a64(text: string): string {
  let hash = OFFSET;
  for (const byte of new TextEncoder().encode(text)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * PRIME);
  }
  return hash.toString(16).padStart(16, '0');
}
