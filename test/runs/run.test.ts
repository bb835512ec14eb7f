import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { queueRuns } from '../../src/changes/queue-run.ts';
import { ensureUser } from '../../src/changes/users.ts';
import type { Database } from '../../src/db/database.ts';
import { must } from '../../src/lib/errors.ts';
import { claimRun, endRun, handBack, isHeld, reportProgress } from '../../src/runs/run.ts';
import { runsById } from '../../src/runs/runs.ts';
import { requeueOrphans } from '../../src/runs/sweep.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { progressAt } from '../support/training/pretend-trainer.ts';

const NOW = new Date('2026-01-01T00:00:00Z');
const LATER = new Date('2026-01-01T00:01:00Z');

describeEachDatabase('a run', (database) => {
  test('is claimed once: a second claim finds nothing due', async () => {
    const { db, key } = await queued(database());
    const claim = must(await claimRun(db, key, NOW), 'a run is due');
    await endRun(db, claim, { status: 'SKIPPED', reason: 'nothing to do', now: LATER });
    expect(await claimRun(db, key, LATER)).toBeNull();
  });

  test('is taken over from a lost worker, whose later writes do nothing', async () => {
    const { db, key } = await queued(database());
    const lost = must(await claimRun(db, key, NOW), 'a run is due');
    const taken = must(await claimRun(db, key, LATER), 'the same run is due again');
    expect(taken.runId).toBe(lost.runId);
    expect(await isHeld(db, lost)).toBe(false);
    expect(await reportProgress(db, lost, { ...progressAt(9, 9), losses: [1] })).toBe(false);
    expect(await endRun(db, lost, { status: 'FAILED', reason: 'late', now: LATER })).toBe(false);
    expect(await reportProgress(db, taken, { ...progressAt(1, 9), losses: [2] })).toBe(true);
    expect(await read(db, taken)).toMatchObject({
      ...{ status: 'RUNNING', step: 1, losses: [2] },
      ...{ learningRate: 0.001, tokensPerSecond: 50, secondsLeft: 16 },
    });
  });

  test('of a lost worker is cancelled when a newer one waits', async () => {
    const { db, key } = await queued(database());
    const lost = must(await claimRun(db, key, NOW), 'a run is due');
    await queueRuns(db, key.userId, [key.mode], { now: NOW });
    const claim = must(await claimRun(db, key, LATER), 'the newer run is due');
    expect(claim.runId).not.toBe(lost.runId);
    expect(await read(db, lost)).toMatchObject({ status: 'CANCELLED', finishedAt: LATER });
  });

  test('that takes the place of a forced one is forced, whoever replaces it', async () => {
    for (const isServerStart of [false, true]) {
      const { db, key } = await queued(database());
      await queueRuns(db, key.userId, [key.mode], { now: NOW, forced: true });
      const lost = must(await claimRun(db, key, NOW), 'a run is due');
      await queueRuns(db, key.userId, [key.mode], { now: NOW });
      if (isServerStart) await requeueOrphans(db, LATER);
      const claim = must(await claimRun(db, key, LATER), 'the newer run is due');
      expect(claim).toMatchObject({ forced: true });
      expect(claim.runId).not.toBe(lost.runId);
      expect(await read(db, claim)).toMatchObject({ forced: true });
    }
  });

  test('handed back waits again', async () => {
    const { db, key } = await queued(database());
    const claim = must(await claimRun(db, key, NOW), 'a run is due');
    await handBack(db, claim, LATER);
    expect(await read(db, claim)).toMatchObject({ status: 'QUEUED', enqueuedAt: null });
    expect((await claimRun(db, key, LATER))?.runId).toBe(claim.runId);
  });

  test('handed back while a newer one waits is cancelled', async () => {
    const { db, key } = await queued(database());
    const claim = must(await claimRun(db, key, NOW), 'a run is due');
    await queueRuns(db, key.userId, [key.mode], { now: NOW });
    await handBack(db, claim, LATER);
    expect(await read(db, claim)).toMatchObject({
      status: 'CANCELLED',
      reason: 'a newer run waits',
    });
  });

  test('waits alone: asking again joins it, and asking for a rebuild makes it one', async () => {
    const { db, key } = await queued(database());
    await queueRuns(db, key.userId, [key.mode], { now: LATER });
    await queueRuns(db, key.userId, [key.mode], { now: LATER, forced: true });
    await queueRuns(db, key.userId, [key.mode], { now: LATER });
    const runs = await db.selectFrom('runs').selectAll().where('userId', '=', key.userId).execute();
    expect(runs).toMatchObject([{ status: 'QUEUED', forced: true, queuedAt: NOW }]);
  });

  test('is seen by its own user only', async () => {
    const { db, key } = await queued(database());
    const other = await ensureUser(db, randomUUID(), NOW);
    const claim = must(await claimRun(db, key, NOW), 'a run is due');
    expect(await runsById(db, other.id, [claim.runId])).toEqual([]);
  });

  test('that was running when the server was killed waits again at the next start', async () => {
    const { db, key } = await queued(database());
    const claim = must(await claimRun(db, key, NOW), 'a run is due');
    await requeueOrphans(db, LATER);
    expect(await read(db, claim)).toMatchObject({ status: 'QUEUED', enqueuedAt: null });
  });

  test('that was running at a kill is cancelled at the next start when a newer one waits', async () => {
    const { db, key } = await queued(database());
    const claim = must(await claimRun(db, key, NOW), 'a run is due');
    await queueRuns(db, key.userId, [key.mode], { now: NOW });
    await requeueOrphans(db, LATER);
    expect(await read(db, claim)).toMatchObject({ status: 'CANCELLED', finishedAt: LATER });
  });
});

/** A user of the test's own with one waiting run. */
async function queued(database: Database) {
  const db = database.kysely;
  const user = await ensureUser(db, randomUUID(), NOW);
  await queueRuns(db, user.id, ['subject'], { now: NOW });
  return { db, key: { userId: user.id, mode: 'subject' } };
}

async function read(db: Database['kysely'], claim: { runId: string; userId: string }) {
  const [run] = await runsById(db, claim.userId, [claim.runId]);
  return must(run, 'the run exists');
}
