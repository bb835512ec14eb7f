// Two greedy answers to one question side by side, and what is known of the place where they part.

import type { TokenLogprob } from '../../src/inference/core/logprobs.ts';

/** An answer of one side. */
export interface Said {
  readonly origin: 'DEVICE' | 'CLOUD';
  readonly text: string;
  readonly adapter: { readonly sha256: string } | null;
  readonly logprobs: readonly TokenLogprob[];
}

/** Two answers side by side. */
export interface Compared {
  readonly name: string;
  /** Of each place at which both had written the same before, the largest difference between the natural logarithms of a
   *  likely token's two probabilities. */
  readonly differences: readonly number[];
  /** Where they part and why; null: they are the same, token for token. */
  readonly parting: string | null;
}

/** Compares the device's answer with the cloud's. Throws where they are not one adapter's. */
export function compare(name: string, here: Said, there: Said): Compared {
  if (here.adapter === null || here.adapter.sha256 !== there.adapter?.sha256)
    throw new Error(`${name}: the two were not answered by one adapter`);
  const [longer, other] =
    here.logprobs.length > there.logprobs.length ? [here, there] : [there, here];
  const at = longer.logprobs.findIndex(({ token }, i) => token !== other.logprobs[i]?.token);
  const tokens = at < 0 ? there.logprobs.length : at + 1;
  const differences = there.logprobs
    .slice(0, tokens)
    .map((one, i) => difference(one, here.logprobs[i]));
  if (at >= 0) return { name, differences, parting: parting(at, here, there, differences) };
  const isSame = here.text === there.text;
  return { name, differences, parting: isSame ? null : 'the same tokens, and another text' };
}

/** The place, both sides' tokens, by how much each side prefers its own to the other's, and how far apart the two are elsewhere. */
function parting(at: number, here: Said, there: Said, differences: readonly number[]): string {
  const [mine, yours] = [here.logprobs[at], there.logprobs[at]];
  const before = Math.max(0, ...differences.slice(0, at));
  const place = `token ${at + 1} of ${there.logprobs.length}`;
  const tokens = `${JSON.stringify(yours?.token)} in the cloud, ${JSON.stringify(mine?.token)} here`;
  const leads = `leads ${nats(lead(yours, mine))} there, ${nats(lead(mine, yours))} here`;
  const apart = `apart here ${nats(differences[at])}, before at most ${nats(before)}`;
  return `${place}: ${tokens}; ${leads}; ${apart}`;
}

/** By how much a side prefers what it wrote to what the other side wrote, in nats; NaN: the other token is not among its likeliest. */
function lead(own: TokenLogprob | undefined, other: TokenLogprob | undefined): number {
  const passed = own?.topLogprobs.find(({ token }) => token === other?.token);
  return (own?.logprob ?? Number.NaN) - (passed?.logprob ?? Number.NaN);
}

function nats(value: number | undefined): string {
  return (value ?? Number.NaN).toFixed(5);
}

/** Tokens whose text stands twice are parts of characters, and left out. */
function difference(a: TokenLogprob, b: TokenLogprob | undefined): number {
  const only = (list: readonly { readonly token: string }[], token: string) =>
    list.filter((one) => one.token === token).length === 1;
  const found = (b?.topLogprobs ?? []).flatMap(({ token, logprob }, _, all) => {
    const other = a.topLogprobs.find((one) => one.token === token);
    const isClear = other !== undefined && only(all, token) && only(a.topLogprobs, token);
    return isClear ? [Math.abs(logprob - other.logprob)] : [];
  });
  return Math.max(0, ...found);
}
