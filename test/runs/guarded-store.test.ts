import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { publishAdapter } from '../../src/adapters/publish.ts';
import { adaptersById, liveAdapter } from '../../src/adapters/registry.ts';
import { type AdapterStore, openAdapterStore } from '../../src/adapters/store.ts';
import type { Database } from '../../src/db/database.ts';
import { vaultOf } from '../../src/db/sealed-columns.ts';
import { guardedStore } from '../../src/runs/guarded-store.ts';
import { candidateOf, newTrainee } from '../adapters/fixture.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';

const TENSORS = 'adapter_model.safetensors';

describeEachDatabase('a guarded store', (database) => {
  let dir: string;
  let plain: AdapterStore;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'attune-guard-'));
    plain = await openAdapterStore(dir, vaultOf(database().kysely));
  });
  afterAll(() => rm(dir, { recursive: true }));

  /** A user with a live adapter whose bytes are in the store. */
  async function withAdapter(opened: Database, content: string) {
    const trainee = await newTrainee(opened);
    const folder = await mkdtemp(join(dir, 'trained-'));
    await writeFile(join(folder, 'adapter_config.json'), '{}');
    await writeFile(join(folder, TENSORS), content);
    const stored = await plain.put(folder, trainee.userId);
    const candidate = { ...candidateOf(content), ...stored };
    const adapter = await publishAdapter(trainee.deps, await trainee.startRun(), candidate);
    const store = guardedStore({ ...trainee.deps, store: plain });
    return { ...trainee, adapter, store, tensors: join(plain.pathOf(adapter), TENSORS) };
  }

  it('lets whole adapters be served', async () => {
    const { db, userId, adapter, store } = await withAdapter(database(), 'whole');
    expect(await store.isServable(adapter)).toBe(true);
    expect(await store.isServable(adapter)).toBe(true);
    expect((await liveAdapter(db, userId, 'subject'))?.id).toBe(adapter.id);
  });

  const damages: readonly [string, (path: string) => Promise<void>][] = [
    ['altered', (path) => writeFile(path, 'something else')],
    ['cut short', (path) => writeFile(path, 'cu')],
    ['lost', (path) => rm(path)],
  ];
  it.each(damages)(
    'withdraws an adapter that was %s, tells the devices and trains anew',
    async (how, damage) => {
      const { db, userId, adapter, store, tensors } = await withAdapter(database(), `to be ${how}`);
      expect(await store.isServable(adapter)).toBe(true);
      await damage(tensors);
      expect(await store.isServable(adapter)).toBe(false);
      expect(await adaptersById(db, userId, [adapter.id])).toMatchObject([{ status: 'REVOKED' }]);
      const events = await db
        .selectFrom('feedEvents')
        .select(['kind', 'reason'])
        .where('userId', '=', userId)
        .orderBy('seq')
        .execute();
      expect(events.at(-1)).toEqual({ kind: 'REVOKED', reason: 'DAMAGED' });
      const runs = db
        .selectFrom('runs')
        .select(['mode', 'status', 'forced'])
        .where('userId', '=', userId);
      expect(await runs.where('status', '=', 'QUEUED').execute()).toEqual([
        { mode: 'subject', status: 'QUEUED', forced: true },
      ]);
    },
  );

  it('withdraws the damaged copy of one user, and nothing of another who has the same bytes', async () => {
    const [ann, bob] = [
      await withAdapter(database(), 'shared'),
      await withAdapter(database(), 'shared'),
    ];
    const other = await withAdapter(database(), 'not shared');
    await writeFile(ann.tensors, 'damaged');
    expect(await ann.store.isServable(ann.adapter)).toBe(false);
    expect(await liveAdapter(ann.db, ann.userId, 'subject')).toBeNull();
    for (const { db, userId } of [bob, other])
      expect(await liveAdapter(db, userId, 'subject')).not.toBeNull();
  });
});
