/** A text with a larger share of control characters and U+FFFD (what undecodable bytes become) is no text. */
const MAX_BINARY_SHARE = 0.05;

const BINARY = /[\p{Cc}\ufffd]/gu;
const LAYOUT = /[\t\n\r]/g;

/** Whether a text is rather bytes that were read as text. */
export function isBinary(text: string): boolean {
  const controls = text.match(BINARY)?.length ?? 0;
  const layout = text.match(LAYOUT)?.length ?? 0;
  return controls - layout > text.length * MAX_BINARY_SHARE;
}
