import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { recordRejected } from '../../src/adapters/publish.ts';
import { liveAdapter, pageAdapters } from '../../src/adapters/registry.ts';
import { rollbackAdapter } from '../../src/adapters/rollback.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { candidateOf, fullStore, newTrainee } from './fixture.ts';

describeEachDatabase('rollbackAdapter', (database) => {
  const trainee = () => newTrainee(database());

  it('publishes the earlier bytes as the next version and revokes the one they replace', async () => {
    const { db, deps, userId, publish } = await trainee();
    const [good, bad] = [await publish('good'), await publish('bad')];
    const live: string[] = [];
    const onLive = ({ id }: { id: string }) => live.push(id);
    const again = await rollbackAdapter({ ...deps, onLive }, userId, good.id);
    expect(live).toEqual([again.id]);
    const { sha256, files, datasetId, dataThrough, runId, evaluation } = good;
    expect(again).toMatchObject({
      version: 3,
      status: 'LIVE',
      origin: 'ROLLBACK',
      parentId: good.id,
      ...{ sha256, files, datasetId, dataThrough, runId, evaluation },
    });
    const { edges } = await pageAdapters(db, userId, 'subject', {});
    expect(edges.map(({ node }) => node.status)).toEqual(['LIVE', 'REVOKED', 'SUPERSEDED']);
    const events = db.selectFrom('feedEvents').selectAll().where('userId', '=', userId);
    const last = await events.where('seq', '>', 2).orderBy('seq').execute();
    expect(last).toMatchObject([
      { kind: 'REVOKED', adapterId: bad.id, reason: 'ROLLED_BACK' },
      { kind: 'READY', adapterId: again.id },
    ]);
  });

  it('refuses what was revoked, was rejected or is live already, and changes nothing', async () => {
    const { db, deps, userId, publish, startRun } = await trainee();
    const good = await publish('good');
    const bad = await publish('bad');
    const live = await rollbackAdapter(deps, userId, good.id);
    const rejected = await recordRejected(deps, await startRun(), candidateOf('worse'));
    for (const { id } of [bad, live, rejected]) {
      await expect(rollbackAdapter(deps, userId, id)).rejects.toMatchObject({ code: 'CONFLICT' });
    }
    expect(await liveAdapter(db, userId, 'subject')).toEqual(live);
  });

  it("does not know another user's adapter, nor one that never was", async () => {
    const { deps, userId } = await trainee();
    const theirs = await (await trainee()).publish('theirs');
    for (const id of [theirs.id, randomUUID()]) {
      await expect(rollbackAdapter(deps, userId, id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
  });

  it('does not publish bytes that are gone', async () => {
    const { db, deps, userId, publish } = await trainee();
    const good = await publish('good');
    const live = await publish('better');
    const store = { ...fullStore, isIntact: () => Promise.resolve(false) };
    const rollback = rollbackAdapter({ ...deps, store }, userId, good.id);
    await expect(rollback).rejects.toThrow('missing or damaged');
    expect(await liveAdapter(db, userId, 'subject')).toEqual(live);
  });
});
