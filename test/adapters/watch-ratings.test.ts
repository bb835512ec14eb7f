import { expect, it } from 'vitest';
import { liveAdapter } from '../../src/adapters/registry.ts';
import { revokeAdapters } from '../../src/adapters/revoke.ts';
import { rollBackIfRatedWorse } from '../../src/adapters/watch-ratings.ts';
import type { AdapterRow } from '../../src/db/schema.ts';
import { keysOf, sealRow } from '../../src/db/sealed-columns.ts';
import { storeCompletion } from '../../src/feedback/completions.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { fullStore, newTrainee } from './fixture.ts';

type Rating = 'UP' | 'DOWN' | 'better';

describeEachDatabase('rollBackIfRatedWorse', (database) => {
  async function trainee() {
    const made = await newTrainee(database());
    const { db, deps, userId } = made;
    let ratedAt = 1_700_000_000_000;
    /** Answers of the adapter, each rated; oldest first. */
    const rate = async (adapter: AdapterRow, ratings: readonly Rating[]) => {
      for (const rating of ratings) {
        const { id } = await storeCompletion(db, userId, {
          ...{ clientId: null, mode: adapter.mode, input: {}, text: 'an answer' },
          context: { values: {}, shown: [] },
          ...{ adapter, promptTokens: 1, completionTokens: 1, finishReason: 'STOP' },
          createdAt: new Date(ratedAt),
        });
        ratedAt += 1000;
        const better = { id, better: 'another' };
        const said =
          rating === 'better'
            ? sealRow(await keysOf(db, userId), 'completions', better)
            : { verdict: rating };
        await db
          .updateTable('completions')
          .set({ ...said, ratedAt: new Date(ratedAt) })
          .where('id', '=', id)
          .execute();
      }
    };
    const watch = () => rollBackIfRatedWorse(deps, userId, 'subject');
    return { ...made, rate, watch };
  }
  const times = (count: number, rating: Rating) => Array.from({ length: count }, () => rating);

  it('takes the version before back when the live one is rated clearly worse, and says why', async () => {
    const { db, userId, publish, rate, watch } = await trainee();
    const good = await publish('good');
    await rate(good, [...times(14, 'UP'), ...times(2, 'DOWN')]);
    const bad = await publish('bad');
    await rate(bad, ['UP', ...times(4, 'DOWN'), ...times(3, 'better')]);
    const live = await watch();
    expect(live).toMatchObject({ version: 3, origin: 'ROLLBACK', sha256: good.sha256 });
    expect(live?.evaluation).toMatchObject({ loss: good.evaluation?.loss, passed: true });
    expect(live?.evaluation?.reason).toMatch(
      /^rolled back: 1 of 8 ratings of version 2 were good, 14 of 16 of version 1 \(odds of chance \d\.\de-\d\)$/,
    );
    const revoked = await db
      .selectFrom('feedEvents')
      .selectAll()
      .where('userId', '=', userId)
      .where('kind', '=', 'REVOKED')
      .execute();
    expect(revoked).toMatchObject([{ adapterId: bad.id, reason: 'RATED_WORSE' }]);
    // what came back is not watched: its ratings are those that it won by
    expect(await watch()).toBeNull();
    expect(await liveAdapter(db, userId, 'subject')).toMatchObject({ version: 3 });
  });

  it.each<[string, Rating[], Rating[]]>([
    ['too few ratings', times(16, 'UP'), times(7, 'DOWN')],
    [
      'ratings that may be chance',
      [...times(12, 'UP'), ...times(4, 'DOWN')],
      [...times(5, 'UP'), ...times(3, 'DOWN')],
    ],
    ['a version before that nobody rated', [], times(8, 'DOWN')],
    ['a better version', times(16, 'DOWN'), times(8, 'UP')],
  ])('leaves the live version alone with %s', async (_, ofFirst, ofSecond) => {
    const { db, userId, publish, rate, watch } = await trainee();
    await rate(await publish('first'), ofFirst);
    const live = await publish('second');
    await rate(live, ofSecond);
    expect(await watch()).toBeNull();
    expect(await liveAdapter(db, userId, 'subject')).toEqual(live);
  });

  it('judges the first ratings of a look, whatever came after it', async () => {
    const { publish, rate, watch } = await trainee();
    await rate(await publish('first'), times(16, 'UP'));
    await rate(await publish('second'), [...times(8, 'DOWN'), ...times(7, 'UP')]);
    expect(await watch()).toMatchObject({ version: 3 });
  });

  it('never goes back to a version that was revoked or whose files are damaged', async () => {
    const { db, deps, userId, publish, rate, watch } = await trainee();
    const first = await publish('first');
    await rate(first, times(16, 'UP'));
    await rate(await publish('second'), times(8, 'DOWN'));
    const store = { ...fullStore, isIntact: () => Promise.resolve(false) };
    expect(await rollBackIfRatedWorse({ ...deps, store }, userId, 'subject')).toBeNull();
    const now = new Date();
    await db
      .transaction()
      .execute((tx) => revokeAdapters(tx, userId, [first.id], { reason: 'DATA_DELETED', now }));
    expect(await watch()).toBeNull();
  });

  it('does nothing for a mode without a trained adapter, or with a first one', async () => {
    const { publish, rate, watch } = await trainee();
    expect(await watch()).toBeNull();
    await rate(await publish('first'), times(20, 'DOWN'));
    expect(await watch()).toBeNull();
  });

  it('rolls back once when many ratings say so at the same time', async () => {
    const { db, userId, publish, rate, watch } = await trainee();
    await rate(await publish('first'), times(16, 'UP'));
    await rate(await publish('second'), times(8, 'DOWN'));
    const results = await Promise.all([watch(), watch(), watch()]);
    expect(results.filter((result) => result !== null)).toHaveLength(1);
    expect(await liveAdapter(db, userId, 'subject')).toMatchObject({ version: 3 });
  });
});
