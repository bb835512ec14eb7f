import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { foldDataset } from '../../src/dataset/fold-dataset.ts';
import { loadDataset } from '../../src/dataset/load-dataset.ts';
import { upToDateThrough } from '../../src/dataset/up-to-date.ts';
import type { Database } from '../../src/db/database.ts';
import type { CompletionRow } from '../../src/db/schema.ts';
import { storeCompletion } from '../../src/feedback/completions.ts';
import { type RatingInput, rateCompletion } from '../../src/feedback/rate-completion.ts';
import { openLocalWakeups } from '../../src/lib/wakeups.ts';
import type { ModeCatalog } from '../../src/modes/mode.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import {
  loadShippedModes,
  NOW,
  newTestUser,
  STOPPED,
  type TestUser,
} from '../support/test-user.ts';

let catalog: ModeCatalog;
beforeAll(async () => {
  catalog = await loadShippedModes();
});

describeEachDatabase('rateCompletion', (database: () => Database) => {
  const answer = (
    user: TestUser,
    text: string,
    { body = 'BODY', mode = 'subject' } = {},
  ): Promise<CompletionRow> =>
    storeCompletion(database().kysely, user.id, {
      ...{ clientId: null, mode, input: { body }, context: { values: {}, shown: [] }, text },
      ...{ adapter: null, promptTokens: 1, completionTokens: 1, finishReason: 'STOP' as const },
      createdAt: NOW,
    });
  const rate = (user: TestUser, rating: RatingInput) => {
    const deps = { db: database().kysely, catalog, wakeups: openLocalWakeups(), clock: STOPPED };
    return rateCompletion(deps, user.id, rating);
  };
  const preferences = async (user: TestUser) => {
    const mode = catalog.mode('subject');
    const row = await foldDataset(database().kysely, user.id, mode, NOW);
    const loaded = await loadDataset(database().kysely, mode, row);
    if (loaded === null) throw new Error('the dataset that was just folded is there');
    expect(row.preferenceCount).toBe(loaded.preferences.length + loaded.thumbs.length);
    return loaded.preferences.map(({ chosen, rejected }) => `${chosen} > ${rejected}`);
  };
  const queuedModes = async (user: TestUser) => {
    const runs = await database()
      .kysely.selectFrom('runs')
      .select('mode')
      .where('userId', '=', user.id)
      .where('status', '=', 'QUEUED')
      .execute();
    return runs.map(({ mode }) => mode);
  };
  const newUser = () => newTestUser(database().kysely, catalog);

  it('makes a preference of a better text, with the prompt that was answered, and queues a run', async () => {
    const user = await newUser();
    const { id } = await answer(user, 'dull');
    const rated = await rate(user, { completionId: id, verdict: 'DOWN', better: 'bright' });
    expect(rated).toMatchObject({ verdict: 'DOWN', better: 'bright', ratedAt: NOW });
    expect(await preferences(user)).toEqual(['bright > dull']);
    expect(await queuedModes(user)).toEqual(['subject']);
  });

  it('stores a lone thumb and makes a pair once the other side is known', async () => {
    const user = await newUser();
    const [bad, good] = [await answer(user, 'bad'), await answer(user, 'good')];
    await rate(user, { completionId: bad.id, verdict: 'DOWN' });
    expect(await preferences(user)).toEqual([]);
    expect(await queuedModes(user)).toEqual(['subject']);
    await rate(user, { completionId: good.id, verdict: 'UP' });
    expect(await preferences(user)).toEqual(['good > bad']);
  });

  it('prefers a completion of the same input to this one', async () => {
    const user = await newUser();
    const [first, second] = [await answer(user, 'first'), await answer(user, 'second')];
    await rate(user, { completionId: first.id, preferredCompletionId: second.id });
    expect(await preferences(user)).toEqual(['second > first']);
  });

  it('keeps answers to other inputs apart', async () => {
    const user = await newUser();
    const [bad, good] = [await answer(user, 'bad'), await answer(user, 'good', { body: 'OTHER' })];
    await rate(user, { completionId: bad.id, verdict: 'DOWN' });
    await rate(user, { completionId: good.id, verdict: 'UP' });
    expect(await preferences(user)).toEqual([]);
  });

  it('replaces the earlier rating and all that followed from it', async () => {
    const user = await newUser();
    const [bad, good] = [await answer(user, 'bad'), await answer(user, 'good')];
    await rate(user, { completionId: bad.id, verdict: 'DOWN', better: 'best' });
    await rate(user, { completionId: good.id, verdict: 'UP' });
    expect((await preferences(user)).sort()).toEqual(['best > bad', 'good > bad']);
    const rated = await rate(user, { completionId: bad.id, better: 'bettest' });
    expect(rated).toMatchObject({ verdict: null, better: 'bettest' });
    expect(await preferences(user)).toEqual(['bettest > bad']);
  });

  it('does nothing when the same is said again', async () => {
    const user = await newUser();
    const { id } = await answer(user, 'dull');
    const rating = { completionId: id, better: 'bright' };
    const first = await rate(user, rating);
    const { changeSeq } = await database()
      .kysely.selectFrom('users')
      .select('changeSeq')
      .where('id', '=', user.id)
      .executeTakeFirstOrThrow();
    await database().kysely.deleteFrom('runs').where('userId', '=', user.id).execute();
    expect(await rate(user, rating)).toEqual(first);
    expect(await queuedModes(user)).toEqual([]);
    expect(changeSeq).toBe(1);
  });

  it('holds back what the mode is up to date with until the preference is learnt', async () => {
    const user = await newUser();
    const seq = await user.push({ source: 'notes', recordId: 'n1', data: { text: 'x' } });
    const mode = catalog.mode('subject');
    expect(await upToDateThrough(database().kysely, user.id, mode)).toBe(seq);
    const { id } = await answer(user, 'dull');
    await rate(user, { completionId: id, better: 'bright' });
    expect(await upToDateThrough(database().kysely, user.id, mode)).toBe(0);
    expect(await upToDateThrough(database().kysely, user.id, catalog.mode('reply'))).toBe(seq + 1);
  });

  it('shows what a preference was about: the context of the prompt, as it was then', async () => {
    const user = await newUser();
    const contact = { name: 'Ann Lee', email: 'ann@example.org' };
    const { id } = await storeCompletion(database().kysely, user.id, {
      ...{ clientId: null, mode: 'reply', text: 'dull', adapter: null },
      input: { from: contact.email, subject: 's', body: 'b' },
      context: { values: { contact }, shown: [] },
      ...{ promptTokens: 1, completionTokens: 1, finishReason: 'STOP', createdAt: NOW },
    });
    await rate(user, { completionId: id, better: 'bright' });
    const mode = catalog.mode('reply');
    const row = await foldDataset(database().kysely, user.id, mode, NOW);
    const loaded = await loadDataset(database().kysely, mode, row);
    expect(loaded?.preferences[0]?.messages.at(-1)?.content).toContain('From: Ann Lee');
  });

  describe('refuses', () => {
    interface Refusal {
      readonly what: string;
      readonly rating: (ids: Readonly<Record<string, string>>) => RatingInput;
      readonly code: string;
      readonly message: RegExp;
    }
    const REFUSALS: readonly Refusal[] = [
      {
        what: 'a rating that says nothing',
        rating: ({ own = '' }) => ({ completionId: own, verdict: null }),
        code: 'BAD_INPUT',
        message: /says nothing; give a verdict/,
      },
      {
        what: 'an empty better text',
        rating: ({ own = '' }) => ({ completionId: own, better: ' \n' }),
        code: 'BAD_INPUT',
        message: /better must not be empty/,
      },
      {
        what: 'a better text that cannot be stored',
        rating: ({ own = '' }) => ({ completionId: own, better: 'a\u0000' }),
        code: 'BAD_INPUT',
        message: /better must not hold the character U\+0000/,
      },
      {
        what: 'a better text that is a novel',
        rating: ({ own = '' }) => ({ completionId: own, better: 'x'.repeat(10_001) }),
        code: 'BAD_INPUT',
        message: /more than 10000 characters; it has 10001/,
      },
      {
        what: 'a completion that does not exist',
        rating: () => ({ completionId: randomUUID(), verdict: 'UP' }),
        code: 'NOT_FOUND',
        message: /completionId names no completion of yours/,
      },
      {
        what: 'a completion of another user',
        rating: ({ foreign = '' }) => ({ completionId: foreign, verdict: 'UP' }),
        code: 'NOT_FOUND',
        message: /completionId names no completion of yours/,
      },
      {
        what: 'a preferred completion of another user',
        rating: ({ own = '', foreign = '' }) => ({
          completionId: own,
          preferredCompletionId: foreign,
        }),
        code: 'NOT_FOUND',
        message: /preferredCompletionId names no completion of yours/,
      },
      {
        what: 'a preferred completion of another mode',
        rating: ({ own = '', otherMode = '' }) => ({
          completionId: own,
          preferredCompletionId: otherMode,
        }),
        code: 'BAD_INPUT',
        message: /of mode "continue", not "subject"/,
      },
      {
        what: 'a preferred completion of another input',
        rating: ({ own = '', otherInput = '' }) => ({
          completionId: own,
          preferredCompletionId: otherInput,
        }),
        code: 'BAD_INPUT',
        message: /names a completion of another input/,
      },
      {
        what: 'a completion preferred to itself',
        rating: ({ own = '' }) => ({ completionId: own, preferredCompletionId: own }),
        code: 'BAD_INPUT',
        message: /names the rated completion itself/,
      },
    ];

    it.each(REFUSALS)('$what', async ({ rating, code, message }) => {
      const [user, stranger] = [await newUser(), await newUser()];
      const ids = {
        own: (await answer(user, 'a')).id,
        otherInput: (await answer(user, 'b', { body: 'OTHER' })).id,
        otherMode: (await answer(user, 'c', { mode: 'continue' })).id,
        foreign: (await answer(stranger, 'd')).id,
      };
      const error = expect.objectContaining({ code, message: expect.stringMatching(message) });
      await expect(rate(user, rating(ids))).rejects.toEqual(error);
      expect(await queuedModes(user)).toEqual([]);
    });
  });
});
