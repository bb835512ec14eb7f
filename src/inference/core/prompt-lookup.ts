// Guesses what an answer goes on with: the words behind the last place where the text so far said the same. An answer that
// repeats its prompt, as a rewritten mail does, is guessed well, and a run that checks a guess of four costs a quarter more than
// one that writes a token. Method: prompt lookup decoding (A. Saxena, 2023).

/** So many last tokens must have occurred before; the longer match is tried first. */
const MATCH_TOKENS = [3, 2] as const;
const GUESS_TOKENS = 4;
/** How far before the others the greatest logit must be. A run over several positions rounds differently from a run over
 *  one, by up to a thousandth; closer calls are left to the latter. */
const CLEAR_LEAD = 0.05;

/** At most `limit` tokens that may follow `text`; often none. */
export function guessNext(text: readonly number[], limit: number): readonly number[] {
  for (const length of MATCH_TOKENS) {
    const place = lastPlaceOf(text, length);
    if (place !== null)
      return text.slice(place + length, place + length + Math.min(GUESS_TOKENS, limit));
  }
  return [];
}

/** Where the last `length` tokens occurred before; null for nowhere. */
function lastPlaceOf(text: readonly number[], length: number): number | null {
  const end = text.length - length;
  for (let place = end - 1; place >= 0; place -= 1) {
    let same = 0;
    while (same < length && text[place + same] === text[end + same]) same += 1;
    if (same === length) return place;
  }
  return null;
}

/** Whether rounding cannot have decided which logit is the greatest.   logits f32[V] */
export function isClear(logits: Float32Array): boolean {
  let greatest = Number.NEGATIVE_INFINITY;
  let second = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i += 1) {
    const logit = logits[i] as number;
    if (logit > greatest) {
      second = greatest;
      greatest = logit;
    } else if (logit > second) second = logit;
  }
  return greatest - second > CLEAR_LEAD;
}
