// What may happen to the devices of one user, at random.

import fc from 'fast-check';
import { LEASE_MS } from './oracle/oracle-feed.ts';
import type { Fault } from './oracle/oracle-files.ts';

export const MODES = ['subject', 'reply', 'diary'];

/** What becomes of a change: it is applied, refused, or for no server at all. */
export const SOURCE_OF = { applied: 'notes', refused: 'unknown', kept: 'diary' } as const;
export type Fate = keyof typeof SOURCE_OF;
const FATES = Object.keys(SOURCE_OF) as Fate[];

const device = fc.nat(3);
const mode = fc.constantFrom(...MODES);
const fault: fc.Arbitrary<Fault> = fc.constantFrom(
  ...([
    'none',
    'none',
    'none',
    'none',
    'none',
    'none',
    'lost-request',
    'lost-reply',
    'twice',
    'late',
  ] as const),
  ...(['busy', 'cut', 'flipped'] as const),
);

const fileFault: fc.Arbitrary<Fault> = fc.constantFrom('none', 'cut', 'flipped', 'busy');

/** One thing that happens. */
export type Action =
  | { kind: 'change'; device: number; count: number; fate: Fate }
  | { kind: 'sync'; device: number; faults: Fault[]; fileFaults: Fault[] }
  | { kind: 'crash'; device: number; afterSteps: number; whole: boolean }
  | { kind: 'wipe'; device: number }
  | { kind: 'report'; device: number }
  | { kind: 'rate'; device: number; verdict: 'UP' | 'DOWN' }
  | { kind: 'train'; device: number }
  | { kind: 'delete'; device: number; which: number }
  | { kind: 'turn-away'; device: number }
  | { kind: 'publish'; mode: string; content: string }
  | { kind: 'revoke'; mode: string }
  | { kind: 'ship'; mode: string; content: string | null }
  | { kind: 'rollback'; mode: string }
  | { kind: 'expire' }
  | { kind: 'pass'; ms: number }
  | { kind: 'clock'; device: number; ms: number }
  | { kind: 'forget'; device: number; mode: string };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('change' as const),
      device,
      count: fc.integer({ min: 1, max: 3 }),
      fate: fc.constantFrom(...FATES),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('sync' as const),
      device,
      faults: fc.array(fault, { maxLength: 10 }),
      fileFaults: fc.array(fileFault, { maxLength: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('crash' as const),
      device,
      afterSteps: fc.integer({ min: 1, max: 40 }),
      whole: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wipe' as const), device }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('report' as const), device }) },
  {
    weight: 3,
    arbitrary: fc.oneof(
      fc.record({
        kind: fc.constant('rate' as const),
        device,
        verdict: fc.constantFrom('UP' as const, 'DOWN' as const),
      }),
      fc.record({ kind: fc.constant('train' as const), device }),
      fc.record({ kind: fc.constant('delete' as const), device, which: fc.nat(5) }),
      fc.record({ kind: fc.constant('turn-away' as const), device }),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('publish' as const),
      mode,
      content: fc.constantFrom('', 'one', 'two tensors', 'three tensors of many bytes'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.oneof(
      fc.record({ kind: fc.constant('revoke' as const), mode }),
      fc.record({ kind: fc.constant('rollback' as const), mode }),
      fc.record({
        kind: fc.constant('ship' as const),
        mode,
        content: fc.constantFrom(null, 'one', 'shipped'),
      }),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.oneof(
      fc.record({ kind: fc.constant('expire' as const) }),
      // a server's clock may also be set back
      fc.record({
        kind: fc.constant('pass' as const),
        ms: fc.constantFrom(LEASE_MS / 2, LEASE_MS, -LEASE_MS / 2),
      }),
      // at one of these times every manifest has expired
      fc.record({
        kind: fc.constant('clock' as const),
        device,
        ms: fc.constantFrom(-1, 0, Date.parse('2030-01-01')),
      }),
      fc.record({ kind: fc.constant('forget' as const), device, mode }),
    ),
  },
);

const sync = (on: number, faults: Fault[]): Action => {
  return { kind: 'sync', device: on, faults, fileFaults: [] };
};

/** A device that learns something and forgets some of it, with whatever may go wrong: by chance alone these would hardly ever
 *  come one after the other. */
const lesson: fc.Arbitrary<Action[]> = fc
  .record({
    device,
    count: fc.integer({ min: 1, max: 3 }),
    which: fc.nat(5),
    faults: fc.array(fc.array(fault, { maxLength: 12 }), { minLength: 3, maxLength: 3 }),
    left: fc.subarray([0, 1, 2, 3, 4, 5], { minLength: 3 }),
  })
  .map(({ device: on, count, which, faults: [first = [], second = [], third = []], left }) => {
    const steps: Action[] = [
      { kind: 'change', device: on, count, fate: 'kept' },
      sync(on, first),
      { kind: 'train', device: on },
      sync(on, second),
      { kind: 'delete', device: on, which },
      sync(on, third),
    ];
    return left.flatMap((n) => steps[n] ?? []);
  });

/** What happens, one thing after the other. */
export const actions: fc.Arbitrary<Action[]> = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: action.map((one) => [one]) },
      { weight: 1, arbitrary: lesson },
    ),
    { minLength: 1, maxLength: 30 },
  )
  .map((parts) => parts.flat());
