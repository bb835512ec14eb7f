// What ratings say about answers. Pure: all ratings of one input in, pairs and lone thumbs out, so that rating again replaces
// whatever an earlier rating said.

import type { CompletionRow } from '../db/schema.ts';
import { canonicalJson } from '../lib/canonical-json.ts';
import { sha256 } from '../lib/sha256.ts';

/** What a pair is made from. */
export type RatedCompletion = Pick<
  CompletionRow,
  'id' | 'seq' | 'text' | 'input' | 'context' | 'adapterId' | 'verdict' | 'better' | 'preferredId'
>;

/** Two answers to one prompt, of which the user liked `chosen` better. */
export interface PreferencePair {
  /** The completion whose text was rejected: its prompt and its adapter are the pair's. */
  readonly rejected: RatedCompletion;
  readonly chosen: string;
  /** SHA-256 over input, context, chosen and rejected. */
  readonly sha256: string;
}

/** An answer that was liked or disliked, with nothing to compare it to. */
export interface LoneThumb {
  readonly completion: RatedCompletion;
  readonly isGood: boolean;
  /** SHA-256 over input, context and text, as the chosen or as the rejected one of a pair that lacks the other. */
  readonly sha256: string;
}

/** The thumbs that are in no pair. A completion without a thumb says nothing, whether or not it was rated otherwise; of equal
 *  answers the newest thumb counts. */
export function loneThumbs(
  completions: readonly RatedCompletion[],
  pairs: readonly PreferencePair[],
): readonly LoneThumb[] {
  const paired = new Set(pairs.flatMap(({ chosen, rejected }) => [chosen, rejected.text]));
  const thumbs = completions
    .filter(({ verdict, text }) => verdict !== null && text.trim() !== '' && !paired.has(text))
    .sort((a, b) => a.seq - b.seq);
  return [...new Map(thumbs.map((completion) => [completion.text, completion])).values()].map(
    (completion) => {
      const { input, context, text, verdict } = completion;
      const isGood = verdict === 'UP';
      const [chosen, rejected] = isGood ? [text, null] : [null, text];
      const hash = sha256(canonicalJson([input, context, chosen, rejected]));
      return { completion, isGood, sha256: hash };
    },
  );
}

/** The pairs in the ratings of one input's completions. A completion is rejected in favour of the text that the user
 *  would rather have had, of the completion that the user preferred, and, on a thumb down, of the newest one with a
 *  thumb up; and in favour of each of `ownTexts`, what the user wrote instead. A lone thumb makes no pair: see `loneThumbs`. */
export function preferencePairs(
  completions: readonly RatedCompletion[],
  ownTexts: readonly string[] = [],
): readonly PreferencePair[] {
  const byId = new Map(completions.map((completion) => [completion.id, completion]));
  const liked = completions
    .filter(({ verdict }) => verdict === 'UP')
    .reduce<RatedCompletion | null>((a, b) => (a !== null && a.seq > b.seq ? a : b), null);
  const pairs = completions.flatMap((rejected) => {
    const { better, preferredId, verdict } = rejected;
    const preferred = preferredId === null ? undefined : byId.get(preferredId)?.text;
    const thumb = verdict === 'DOWN' ? liked?.text : undefined;
    const chosen = [better ?? undefined, preferred, thumb, ...ownTexts];
    return chosen.flatMap((text) => (text === undefined ? [] : [makePair(text, rejected)]));
  });
  const differing = pairs.filter(({ chosen, rejected }) => chosen.trim() !== rejected.text.trim());
  return [...new Map(differing.map((pair) => [pair.sha256, pair])).values()];
}

function makePair(chosen: string, rejected: RatedCompletion): PreferencePair {
  const { input, context, text } = rejected;
  return { chosen, rejected, sha256: sha256(canonicalJson([input, context, chosen, text])) };
}
