import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { queueRuns } from '../../src/changes/queue-run.ts';
import { ensureUser } from '../../src/changes/users.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import { openLocalWakeups, runsTopic } from '../../src/lib/wakeups.ts';
import { followRuns } from '../../src/runs/follow-runs.ts';
import { claimRun, endRun, reportProgress } from '../../src/runs/run.ts';
import { retrain } from '../../src/runs/runs.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { progressAt } from '../support/training/pretend-trainer.ts';

const NOW = new Date('2026-01-01T00:00:00Z');

describeWithDatabase('following runs', (database) => {
  async function setUp() {
    const db = database().kysely;
    const user = await ensureUser(db, randomUUID(), NOW);
    const wakeups = openLocalWakeups();
    const stop = new AbortController();
    const follow = (mode: string | null) => followRuns({ db, wakeups }, user.id, mode, stop.signal);
    const deps = { db, wakeups, clock: systemClock };
    return { ...deps, deps, userId: user.id, follow, stop };
  }

  test('shows the waiting run, its progress and its end, in order', async () => {
    const { db, deps, wakeups, userId, follow } = await setUp();
    await retrain(deps, userId, { key: 'subject', trainsOn: 'server' });
    const states = follow('subject');
    expect((await states.next()).value).toMatchObject({ status: 'QUEUED', forced: true });
    const claim = must(await claimRun(db, { userId, mode: 'subject' }, NOW), 'a run is due');
    wakeups.wake(runsTopic(userId));
    expect((await states.next()).value).toMatchObject({ status: 'RUNNING', step: 0 });
    await reportProgress(db, claim, { ...progressAt(3, 4), losses: [2, 1.5, 1] });
    wakeups.wake(runsTopic(userId));
    expect((await states.next()).value).toMatchObject({ step: 3, losses: [2, 1.5, 1] });
    await endRun(db, claim, { status: 'FAILED', reason: 'diverged', now: NOW });
    wakeups.wake(runsTopic(userId));
    expect((await states.next()).value).toMatchObject({ status: 'FAILED', reason: 'diverged' });
  });

  test('shows the last state of a run that came and went between two looks', async () => {
    const { db, deps, userId, follow } = await setUp();
    await retrain(deps, userId, { key: 'reply', trainsOn: 'server' });
    const states = follow(null);
    await states.next();
    await queueRuns(db, userId, ['subject'], { now: NOW });
    const claim = must(await claimRun(db, { userId, mode: 'subject' }, NOW), 'a run is due');
    await endRun(db, claim, { status: 'SKIPPED', reason: 'UNCHANGED', now: NOW });
    deps.wakeups.wake(runsTopic(userId));
    expect((await states.next()).value).toMatchObject({ mode: 'subject', status: 'SKIPPED' });
  });

  test('leaves out other modes, other users and runs that ended before', async () => {
    const { db, deps, userId, follow, stop } = await setUp();
    const other = await ensureUser(db, randomUUID(), NOW);
    await queueRuns(db, userId, ['subject'], { now: NOW });
    const ended = must(await claimRun(db, { userId, mode: 'subject' }, NOW), 'a run is due');
    await endRun(db, ended, { status: 'SKIPPED', reason: 'UNCHANGED', now: NOW });
    await queueRuns(db, other.id, ['subject'], { now: NOW });
    await queueRuns(db, userId, ['reply'], { now: NOW });
    const waiting = await retrain(deps, userId, { key: 'subject', trainsOn: 'server' });
    const states = follow('subject');
    expect((await states.next()).value).toMatchObject({ id: waiting.id });
    stop.abort();
    expect((await states.next()).done).toBe(true);
  });
});
