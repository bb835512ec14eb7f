import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';

/** Lower-case hex SHA-256 of a text as UTF-8, in any JavaScript runtime and at once: server and device must give examples the same names. */
export function textSha256(text: string): string {
  return bytesToHex(sha256(utf8ToBytes(text)));
}
