// What ratings say about pairs of answers. Pure: all ratings of one input in, pairs out, so that rating again replaces
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

/** The pairs in the ratings of one input's completions. A completion is rejected in favour of the text that the user
 *  would rather have had, of the completion that the user preferred, and, on a thumb down, of the newest one with a
 *  thumb up; and in favour of each of `ownTexts`, what the user wrote instead. A lone thumb makes no pair. */
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
