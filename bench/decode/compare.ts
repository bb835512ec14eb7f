// Our engine against llama.cpp: both sides do the same in turns, and the medians are compared.

import { must } from '../../src/lib/errors.ts';
import type { Figure } from './figure.ts';
import type { SideName, Sides } from './sides.ts';
import { inTurns } from './turns.ts';
import type { Workload } from './workload.ts';

const PROMPT_TOKENS = 128;

/** A comparison of decoding. */
export interface DecodePart {
  readonly name: string;
  readonly users: number;
  /** Of each user; at least so many are decoded by all users at once. */
  readonly tokens: number;
  readonly turns: number;
  readonly reach: readonly [q8: string, q4: string];
}

/** Tokens a second of some users who decode at once, each with an adapter of their own. */
export async function compareDecode(
  sides: Sides,
  workload: Workload,
  { name, users, tokens, turns, reach }: DecodePart,
): Promise<Figure[]> {
  const rows = await workload.users(users, PROMPT_TOKENS);
  const { ours, q8_0, q4_0, q4_1 } = await inTurns(
    allSides((side) => sides.ask(side, { kind: 'decode', rows, tokens })),
    turns,
  );
  const q4 = Math.max(q4_0, q4_1);
  const rates = (peer: number) => `${ours.toFixed(1)} over ${peer.toFixed(1)} tok/s`;
  const both = `Q4_0 ${q4_0.toFixed(1)}, Q4_1 ${q4_1.toFixed(1)}`;
  return [
    { key: `${name}_vs_llamacpp_q8`, value: ours / q8_0, reach: reach[0], from: rates(q8_0) },
    {
      key: `${name}_vs_llamacpp_q4`,
      value: ours / q4,
      reach: reach[1],
      from: `${rates(q4)} (${both})`,
    },
  ];
}

/** The time until the first token behind a prompt of 512, with an adapter, against the fastest of the peer's forms. */
export async function comparePrefill(sides: Sides, workload: Workload): Promise<Figure[]> {
  const promptTokens = 512;
  const [user] = await workload.users(1, promptTokens);
  const { adapter } = must(user, 'a user');
  // another text each time: nothing of it can be in a cache
  const row = (turn: number) => ({ adapter, promptIds: workload.prompt(turn, promptTokens) });
  const { ours, q8_0, q4_0, q4_1 } = await inTurns(
    allSides((side, turn) => sides.ask(side, { kind: 'prefill', row: row(turn) })),
    5,
  );
  const shown = [q8_0, q4_0, q4_1].map((ms) => ms.toFixed(0));
  const from = `${ours.toFixed(0)} ms; Q8_0 ${shown[0]}, Q4_0 ${shown[1]}, Q4_1 ${shown[2]} ms`;
  const value = Math.min(q8_0, q4_0, q4_1) / ours;
  return [{ key: 'prefill_vs_llamacpp', value, reach: '1.5', from }];
}

function allSides(measure: (side: SideName, turn: number) => Promise<number>) {
  const of = (side: SideName) => (turn: number) => measure(side, turn);
  return { ours: of('ours'), q8_0: of('q8_0'), q4_0: of('q4_0'), q4_1: of('q4_1') };
}
