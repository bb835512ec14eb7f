import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { rollbackAdapter } from '../../src/adapters/rollback.ts';
import type { RecordRef } from '../../src/changes/core/record-ref.ts';
import { reduce } from '../../src/dataset/core/reduce.ts';
import type { Database } from '../../src/db/database.ts';
import type { AdapterRow } from '../../src/db/schema.ts';
import type { Mode, ModeCatalog } from '../../src/modes/mode.ts';
import { compileCondition } from '../../src/modes/template.ts';
import { anyChange, Mailbox, sampleMail, sampleReply } from '../support/mailbox.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { loadShippedModes, type TestChange } from '../support/test-user.ts';
import { World } from '../support/world.ts';

let catalog: ModeCatalog;
/** `reply` as another version of its file might have it: it learns from answers to Ann alone. */
let stricterReply: Mode;
beforeAll(async () => {
  catalog = await loadShippedModes();
  const reply = catalog.mode('reply');
  const when = compileCondition('record.inReplyTo and "nn@" in record.inReplyTo.from');
  const rules = (reply.examples.get('mail.sent') ?? []).map((rule) => ({ ...rule, when }));
  stricterReply = { ...reply, shapeSha256: 'stricter', examples: new Map([['mail.sent', rules]]) };
});

function nameOf({ source, recordId }: RecordRef): string {
  return `${source}/${recordId}`;
}

type Step =
  | { readonly kind: 'push'; readonly changes: readonly TestChange[] }
  | {
      readonly kind: 'train';
      readonly mode: 'subject' | 'reply' | 'stricterReply';
      readonly isWarm: boolean;
    }
  | { readonly kind: 'rollback'; readonly pick: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('push' as const),
      changes: fc.array(anyChange, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('train' as const),
      mode: fc.constantFrom('subject', 'reply', 'stricterReply'),
      isWarm: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('rollback' as const), pick: fc.nat(20) }),
  },
);

/** Keeps, for every adapter, the names of all records whose content its dataset or one of those before it held, found by
 *  reducing from scratch. */
class Oracle {
  readonly mailbox = new Mailbox();
  readonly #holdings = new Map<string, ReadonlySet<string>>();
  readonly #revoked = new Set<string>();

  published(adapter: AdapterRow, mode: Mode): void {
    const records = reduce(mode, this.mailbox.records()).flatMap((example) => example.records);
    const before = this.#holdings.get(adapter.startedFromId ?? '') ?? [];
    this.#holdings.set(adapter.id, new Set([...records.map(nameOf), ...before]));
  }

  rolledBack(adapter: AdapterRow, replaced: string | undefined): void {
    this.#holdings.set(adapter.id, this.#holdings.get(adapter.parentId ?? '') ?? new Set());
    if (replaced !== undefined) this.#revoked.add(replaced);
  }

  deleted(ref: RecordRef): void {
    for (const [id, held] of this.#holdings) if (held.has(nameOf(ref))) this.#revoked.add(id);
  }

  revoked(): readonly string[] {
    return [...this.#revoked].sort();
  }
}

async function take(world: World, oracle: Oracle, move: Step): Promise<void> {
  if (move.kind === 'push') {
    await world.user.push(...move.changes);
    for (const change of move.changes) if (change.data === undefined) oracle.deleted(change);
    oracle.mailbox.apply(...move.changes);
    return;
  }
  if (move.kind === 'train') {
    const mode = move.mode === 'stricterReply' ? stricterReply : catalog.mode(move.mode);
    oracle.published(await world.train(mode, { isWarm: move.isWarm }), mode);
    return;
  }
  const statuses = [...(await world.statuses())];
  const earlier = statuses.filter(([, status]) => status === 'SUPERSEDED');
  const target = earlier[move.pick % Math.max(earlier.length, 1)]?.[0];
  if (target === undefined) return;
  const row = await rollbackAdapter(world.registry, world.user.id, target);
  const after = await world.statuses();
  const replaced = statuses.find(([id, was]) => was === 'LIVE' && after.get(id) === 'REVOKED');
  oracle.rolledBack(row, replaced?.[0]);
}

describeEachDatabase('the lineage of adapters', (database: () => Database) => {
  it('revokes exactly the adapters whose dataset held a record that is deleted (PUSH-11)', async () => {
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 6, maxLength: 14 }),
      async (steps) => {
        const world = await World.open(database(), catalog);
        const oracle = new Oracle();
        for (const move of steps) {
          await take(world, oracle, move);
          const statuses = [...(await world.statuses())];
          const revoked = statuses.filter(([, status]) => status === 'REVOKED').map(([id]) => id);
          expect(revoked.sort()).toEqual(oracle.revoked());
        }
      },
    );
    await fc.assert(property, { numRuns: 10 });
  });

  it('revokes what began from an adapter that held the record, though its own dataset never did', async () => {
    const world = await World.open(database(), catalog);
    const mode = catalog.mode('reply');
    await world.user.push(
      sampleReply('m1', 'ann@example.org'),
      sampleReply('m2', 'bo@example.org'),
    );
    const first = await world.train(mode);
    // the mail teaches nothing any more, but is still there
    await world.user.push(sampleMail('m2', 'tea'));
    const second = await world.train(mode, { isWarm: true });
    const third = await world.train(mode, { isWarm: true });
    const anew = await world.train(mode);
    await world.user.push({ source: 'mail.sent', recordId: 'm2' });
    const statuses = await world.statuses();
    const ended = [first, second, third, anew].map(({ id }) => statuses.get(id));
    expect(ended).toEqual(['REVOKED', 'REVOKED', 'REVOKED', 'LIVE']);
  });

  it('keeps saying what datasets contained when the rules of a mode have changed', async () => {
    const world = await World.open(database(), catalog);
    await world.user.push(
      sampleReply('m1', 'ann@example.org'),
      sampleReply('m2', 'bo@example.org'),
    );
    const before = await world.train(catalog.mode('reply'));
    const after = await world.train(stricterReply);
    await world.user.push({ source: 'mail.sent', recordId: 'm2' });
    const statuses = await world.statuses();
    expect([before, after].map(({ id }) => statuses.get(id))).toEqual(['REVOKED', 'LIVE']);
  });
});
