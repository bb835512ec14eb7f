// Random lives of up to four devices of one user: changes, crashes, lost, doubled, late and broken messages, expired
// cursors, wrong clocks, leases that run out, wiped and forgetful disks. Whatever happened, the devices agree with the server once the trouble is over.
// `npm run soak` runs 10,000 of them; SEED repeats a run.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { forgetFailures } from '../../src/client/shelf.ts';
import { must } from '../../src/lib/errors.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { announceSeed } from '../support/seed.ts';
import { soakRuns } from '../support/soak.ts';
import { LEASE_MS } from './oracle-feed.ts';
import { type Fault, OracleServer } from './oracle-server.ts';
import { changeNamed, TestDevice } from './test-device.ts';

const MODES = ['subject', 'reply'];

/** What becomes of a change: it is applied, refused, or for no server at all. */
const SOURCE_OF = { applied: 'notes', refused: 'unknown', kept: 'diary' } as const;
type Fate = keyof typeof SOURCE_OF;
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

type Action =
  | { kind: 'change'; device: number; count: number; fate: Fate }
  | { kind: 'sync'; device: number; faults: Fault[]; fileFaults: Fault[] }
  | { kind: 'crash'; device: number; afterSteps: number; whole: boolean }
  | { kind: 'wipe'; device: number }
  | { kind: 'report'; device: number }
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

/** The world of one run: what happened, and what must be true of it. */
class World {
  readonly server = new OracleServer();
  readonly devices: readonly TestDevice[];
  /** What each device was asked to keep, in order; `isSure` when it said that it had. */
  readonly #asked: { device: TestDevice; recordId: string; isSure: boolean; fate: Fate }[] = [];
  readonly #reports: { device: TestDevice; clientId: string; isSure: boolean }[] = [];

  constructor(deviceCount: number) {
    this.devices = Array.from({ length: deviceCount }, (_, n) => {
      return new TestDevice(this.server, `device ${n}`);
    });
  }

  async act(step: Action): Promise<void> {
    if (step.kind === 'publish') this.server.publish(step.mode, step.content);
    else if (step.kind === 'revoke') this.server.revoke(step.mode);
    else if (step.kind === 'ship') this.server.ship(step.mode, step.content);
    else if (step.kind === 'rollback') this.server.rollback(step.mode);
    else if (step.kind === 'expire') this.server.expireCursors();
    else if (step.kind === 'pass') this.server.now += step.ms;
    else await this.#actOn(this.#device(step.device), step);
    this.check();
  }

  async #actOn(on: TestDevice, step: Extract<Action, { device: number }>): Promise<void> {
    if (step.kind === 'change') await this.#change(on, step);
    if (step.kind === 'crash') on.start(step);
    if (step.kind === 'wipe') this.#wipe(on);
    if (step.kind === 'clock') on.now = step.ms;
    if (step.kind === 'forget') await this.#forget(on, step.mode);
    if (step.kind === 'report') await this.#report(on);
    if (step.kind === 'sync') {
      this.server.faults.push(...step.faults);
      this.server.fileFaults.push(...step.fileFaults);
      await on.sync();
      this.server.faults.length = 0;
      this.server.fileFaults.length = 0;
    }
  }

  #device(n: number): TestDevice {
    return must(this.devices[n % this.devices.length], 'there is a device');
  }

  async #change(on: TestDevice, { count, fate }: { count: number; fate: Fate }) {
    const names = Array.from({ length: count }, (_, n) => `record ${this.#asked.length + n}`);
    const changes = names.map((name) => changeNamed(name, SOURCE_OF[fate]));
    const outcome = await on.survive(() => on.parts.outbox.add(changes));
    const isSure = outcome === 'done';
    this.#asked.push(...names.map((recordId) => ({ device: on, recordId, isSure, fate })));
  }

  async #report(on: TestDevice) {
    const clientId = `report ${this.#reports.length}`;
    const report = { clientId, mode: 'subject', input: {}, text: clientId, adapterId: null };
    const outcome = await on.survive(() => on.parts.reports.add(report));
    this.#reports.push({ device: on, clientId, isSure: outcome === 'done' });
  }

  /** What was only on that disk is gone. */
  #wipe(on: TestDevice): void {
    on.wipe();
    for (const one of [...this.#asked, ...this.#reports]) if (one.device === on) one.isSure = false;
  }

  /** The disk loses what it knew of a mode, and keeps the cursor behind it. */
  async #forget(on: TestDevice, key: string): Promise<void> {
    const { [key]: _lost, ...slots } = on.shelf.slots;
    await on.survive(() => on.parts.shelf.update((now) => ({ ...now, slots })));
  }

  /** What must be true at every moment. */
  check(): void {
    for (const on of this.devices) {
      const asked = this.#asked.filter((one) => one.device === on);
      const order = asked.map(({ recordId }) => recordId);
      const applied = this.server.applied.filter(({ deviceId }) => deviceId === on.id);
      const places = applied.map(({ recordId }) => order.indexOf(recordId));
      // each at most once, and in the order of the device
      expect(places).toEqual([...new Set(places)].sort((a, b) => a - b));
      // DEV-16: not even refused
      expect(this.server.sources).not.toContain('diary');
      for (const { installed } of Object.values(on.shelf.slots)) {
        for (const file of installed?.files ?? []) {
          expect(sha256(must(on.disk.content.get(file.sha256), 'an installed file'))).toBe(
            file.sha256,
          );
        }
      }
    }
  }

  /** What must be true once the trouble is over. */
  async settle(): Promise<void> {
    for (const on of this.devices) {
      on.start(null);
      on.now = 0;
      await on.parts.shelf.update(forgetFailures);
      expect(await on.sync()).toBe('done');
      expect(await on.sync()).toBe('done');
    }
    this.check();
    const applied = new Set(this.server.applied.map(({ recordId }) => recordId));
    for (const { device: on, recordId, isSure, fate } of this.#asked) {
      if (!isSure) continue;
      expect([recordId, applied.has(recordId)]).toEqual([recordId, fate === 'applied']);
      const isKept = on.disk.state.has(`record/diary/${recordId}`);
      expect([recordId, isKept]).toEqual([recordId, fate === 'kept']);
    }
    for (const { clientId, isSure } of this.#reports) {
      if (isSure) expect(this.server.reports.get(clientId)).toBe(clientId);
    }
    for (const on of this.devices) this.#checkAgreement(on);
  }

  #checkAgreement(on: TestDevice): void {
    const live = MODES.flatMap((key) => this.server.expected(key) ?? []);
    const expected = Object.fromEntries(live.map(({ mode: { key }, id }) => [key, id]));
    expect(on.installed).toEqual(expected);
    expect(Object.fromEntries(must(this.server.devices.get(on.id), 'it registered').held)).toEqual(
      expected,
    );
    expect(on.shelf.owed).toEqual([]);
    const files = new Set(live.map((adapter) => adapter.sha256));
    expect([...on.disk.content.keys()].sort()).toEqual([...files].sort());
    const left = [...on.disk.state.keys()].filter((key) => /^(outbox|report)\//.test(key));
    expect(left).toEqual([]);
  }
}

it('loses nothing, repeats nothing and agrees in the end, whatever happens on the way (DEV-1, DEV-2, DEV-4, DEV-5, DEV-6, DEV-8, DEV-9, DEV-11, DEV-13, DEV-14, DEV-16)', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 2, max: 4 }),
      fc.array(action, { minLength: 1, maxLength: 30 }),
      async (deviceCount, actions) => {
        const world = new World(deviceCount);
        for (const step of actions) await world.act(step);
        await world.settle();
      },
    ),
    { numRuns: soakRuns(150), seed: announceSeed('devices') },
  );
}, 3_600_000);
