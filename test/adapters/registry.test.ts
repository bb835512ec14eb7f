import { expect, it } from 'vitest';
import {
  ClaimLost,
  LiveAdapterChanged,
  publishAdapter,
  recordRejected,
} from '../../src/adapters/publish.ts';
import {
  adaptersById,
  liveAdapter,
  newestBySha256,
  pageAdapters,
  shippedAdapters,
} from '../../src/adapters/registry.ts';
import { revokeAdapters } from '../../src/adapters/revoke.ts';
import { rollbackAdapter } from '../../src/adapters/rollback.ts';
import { registerShipped } from '../../src/adapters/shipped.ts';
import type { Db } from '../../src/db/database.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { feedTopic } from '../../src/lib/wakeups.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { candidateOf, filesOf, newTrainee, passed } from './fixture.ts';

describeEachDatabase('the registry', (database) => {
  const trainee = () => newTrainee(database());

  const statuses = async (db: Db, userId: string) => {
    const page = await pageAdapters(db, userId, 'subject', {});
    return page.edges.map(({ node }) => `${node.version} ${node.status}`);
  };
  const feed = async (db: Db, userId: string) => {
    const rows = db.selectFrom('feedEvents').selectAll().where('userId', '=', userId);
    const events = await rows.orderBy('seq').execute();
    return events.map(({ seq, kind, reason }) => [seq, kind, reason]);
  };

  it('publishes adapter, run and feed event together', async () => {
    const { db, deps, userId, startRun } = await trainee();
    const claim = await startRun();
    const candidate = candidateOf('one');
    const adapter = await publishAdapter(deps, claim, candidate);
    expect(adapter).toMatchObject({
      version: 1,
      status: 'LIVE',
      origin: 'SERVER',
      files: candidate.files,
      evaluation: passed,
      runId: claim.runId,
      dataThrough: 3,
    });
    expect(await liveAdapter(db, userId, 'subject')).toEqual(adapter);
    const run = db.selectFrom('runs').selectAll().where('id', '=', claim.runId);
    expect(await run.executeTakeFirst()).toMatchObject({
      status: 'PUBLISHED',
      adapterId: adapter.id,
      finishedAt: expect.any(Date),
    });
    expect(await feed(db, userId)).toEqual([[1, 'READY', null]]);
  });

  it('supersedes the adapter before it and counts on', async () => {
    const { db, userId, publish } = await trainee();
    await publish('one');
    await publish('two');
    await publish('elsewhere', 'reply');
    expect(await statuses(db, userId)).toEqual(['2 LIVE', '1 SUPERSEDED']);
    expect(await feed(db, userId)).toEqual([1, 2, 3].map((seq) => [seq, 'READY', null]));
  });

  it.each([
    ['was claimed again', { attempt: 2 }],
    ['was cancelled', { status: 'CANCELLED' as const }],
  ])('writes nothing for a run that %s', async (_, fate) => {
    const { db, deps, userId, startRun } = await trainee();
    const claim = await startRun();
    await db.updateTable('runs').set(fate).where('id', '=', claim.runId).execute();
    const publish = publishAdapter(deps, claim, candidateOf('one'));
    await expect(publish).rejects.toBeInstanceOf(ClaimLost);
    await expect(recordRejected(deps, claim, candidateOf('one'))).rejects.toBeInstanceOf(ClaimLost);
    expect(await statuses(db, userId)).toEqual([]);
    expect(await feed(db, userId)).toEqual([]);
  });

  it('lets one of two publications of the same run win', async () => {
    const { db, deps, userId, startRun } = await trainee();
    const claim = await startRun();
    const both = [1, 2].map(() => publishAdapter(deps, claim, candidateOf('one')));
    const ends = (await Promise.allSettled(both)).map(({ status }) => status);
    expect(ends.sort()).toEqual(['fulfilled', 'rejected']);
    expect(await statuses(db, userId)).toEqual(['1 LIVE']);
  });

  it('refuses a candidate that was compared with another adapter than the live one', async () => {
    const { db, deps, userId, publish, startRun } = await trainee();
    const first = await publish('one');
    await publish('two');
    const stale = candidateOf('three', { parentId: first.id });
    const late = publishAdapter(deps, await startRun(), stale);
    await expect(late).rejects.toBeInstanceOf(LiveAdapterChanged);
    expect(await statuses(db, userId)).toEqual(['2 LIVE', '1 SUPERSEDED']);
  });

  it('gives a rejected candidate no version and keeps the live one', async () => {
    const { db, deps, userId, publish, startRun } = await trainee();
    const live = await publish('one');
    const claim = await startRun();
    const evaluation = { ...passed, passed: false, reason: 'worse than the live one' };
    const worse = candidateOf('two', { parentId: live.id, evaluation });
    const rejected = await recordRejected(deps, claim, worse);
    expect(rejected).toMatchObject({ version: 0, status: 'REJECTED', files: [], evaluation });
    const run = db.selectFrom('runs').selectAll().where('id', '=', claim.runId);
    expect(await run.executeTakeFirst()).toMatchObject({
      status: 'REJECTED',
      reason: 'worse than the live one',
      adapterId: rejected.id,
    });
    expect(await statuses(db, userId)).toEqual(['0 REJECTED', '1 LIVE']);
    expect(await publish('three')).toMatchObject({ version: 2 });
    expect(await newestBySha256(db, userId, 'subject', worse.sha256)).toBeNull();
  });

  it('wakes the followers of the feed after the commit', async () => {
    const { deps, userId, publish } = await trainee();
    const ticks = deps.wakeups.follow(feedTopic(userId));
    await ticks.next();
    await publish('one');
    expect(await ticks.next()).toMatchObject({ done: false });
    await deps.wakeups.close();
  });

  it('revokes live and superseded adapters of the user once, and tells the feed', async () => {
    const { db, userId, publish } = await trainee();
    const stranger = await trainee();
    const theirs = await stranger.publish('theirs');
    const [first, second] = [await publish('one'), await publish('two')];
    const revoke = () =>
      db.transaction().execute((tx) =>
        revokeAdapters(tx, userId, [second.id, first.id, theirs.id], {
          reason: 'DATA_DELETED',
          now: new Date(),
        }),
      );
    expect((await revoke()).map(({ id }) => id)).toEqual([first.id, second.id]);
    expect(await revoke()).toEqual([]);
    expect(await statuses(db, userId)).toEqual(['2 REVOKED', '1 REVOKED']);
    expect(await feed(db, userId)).toEqual([
      [1, 'READY', null],
      [2, 'READY', null],
      [3, 'REVOKED', 'DATA_DELETED'],
      [4, 'REVOKED', 'DATA_DELETED'],
    ]);
    expect(await liveAdapter(db, stranger.userId, 'subject')).toEqual(theirs);
    expect(await publish('three')).toMatchObject({ version: 3, status: 'LIVE' });
  });

  it('finds the newest adapter with given bytes that is not revoked', async () => {
    const { db, deps, userId, publish } = await trainee();
    const first = await publish('same');
    await publish('other');
    const again = await publish('same');
    expect(await newestBySha256(db, userId, 'subject', first.sha256)).toEqual(again);
    await rollbackAdapter(deps, userId, first.id);
    const newest = await newestBySha256(db, userId, 'subject', first.sha256);
    expect(newest).toMatchObject({ version: 4, status: 'LIVE' });
    expect(await newestBySha256(db, userId, 'reply', first.sha256)).toBeNull();
    const stranger = await trainee();
    expect(await newestBySha256(db, stranger.userId, 'subject', first.sha256)).toBeNull();
  });

  it('shows adapters to their user alone', async () => {
    const { db, userId, publish } = await trainee();
    const stranger = await trainee();
    const mine = await publish('one');
    expect(await adaptersById(db, userId, [mine.id])).toEqual([mine]);
    expect(await adaptersById(db, stranger.userId, [mine.id])).toEqual([]);
    expect(await statuses(db, stranger.userId)).toEqual([]);
  });

  it('ships adapters to everyone, in versions of their own', async () => {
    const { db, userId, publish } = await trainee();
    const now = new Date();
    const baseSha256 = sha256('base');
    const ship = (content: string) => ({
      mode: `shipped-${userId}`,
      baseSha256,
      rank: 8,
      sha256: sha256(content),
      files: filesOf(content),
    });
    const shipped = () => shippedAdapters(db, baseSha256, [`shipped-${userId}`]);
    await registerShipped(db, [ship('a')], now);
    await Promise.all([1, 2].map(() => registerShipped(db, [ship('b')], now)));
    const [live] = await shipped();
    expect(live).toMatchObject({ version: 2, origin: 'SHIPPED', userId: null, status: 'LIVE' });
    expect(await shippedAdapters(db, sha256('another base'), [`shipped-${userId}`])).toEqual([]);
    expect(await adaptersById(db, userId, [live?.id ?? ''])).toEqual([live]);
    await publish('own', `shipped-${userId}`);
    await registerShipped(db, [], now);
    expect(await shipped()).toEqual([]);
    expect(await liveAdapter(db, userId, `shipped-${userId}`)).toMatchObject({ version: 1 });
  });
});
