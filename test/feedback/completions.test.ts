import { randomUUID } from 'node:crypto';
import { beforeAll, expect, it } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import {
  completionByClientId,
  completionById,
  completionsById,
  type NewCompletion,
  pageCompletions,
  storeCompletion,
} from '../../src/feedback/completions.ts';
import { reportCompletion } from '../../src/feedback/report-completion.ts';
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

function newCompletion(fields: Partial<NewCompletion> = {}): NewCompletion {
  return {
    ...{ clientId: null, mode: 'subject', input: { body: 'BODY' }, text: 'text' },
    ...{ context: { values: {}, shown: [] }, adapter: null, finishReason: 'STOP' },
    ...{ promptTokens: 1, completionTokens: 2, createdAt: NOW },
    ...fields,
  };
}

describeEachDatabase('completions', (database: () => Database) => {
  const newUser = () => newTestUser(database().kysely, catalog);
  const store = (user: TestUser, fields: Partial<NewCompletion> = {}) =>
    storeCompletion(database().kysely, user.id, newCompletion(fields));

  it('keeps the first of several with one clientId, those of one moment too', async () => {
    const user = await newUser();
    const stored = await Promise.all(
      ['one', 'two', 'three'].map((text) => store(user, { clientId: 'k', text })),
    );
    expect(new Set(stored.map(({ id }) => id)).size).toBe(1);
    expect(await completionByClientId(database().kysely, user.id, 'k')).toEqual(stored[0]);
  });

  it('keeps an answer with a character that the database does not have', async () => {
    const user = await newUser();
    expect((await store(user, { text: 'a\u0000b' })).text).toBe('a\ufffdb');
  });

  it('lets two users have the same clientId', async () => {
    const [one, other] = [await newUser(), await newUser()];
    const stored = [
      await store(one, { clientId: 'k', text: 'one' }),
      await store(other, { clientId: 'k', text: 'other' }),
    ];
    expect(stored.map(({ text }) => text)).toEqual(['one', 'other']);
  });

  it('shows nobody the completions of another user', async () => {
    const [owner, stranger] = [await newUser(), await newUser()];
    const { id } = await store(owner, { clientId: 'k' });
    const db = database().kysely;
    expect(await completionById(db, stranger.id, id)).toBeNull();
    expect(await completionByClientId(db, stranger.id, 'k')).toBeNull();
    expect(await completionsById(db, stranger.id, [id])).toEqual([]);
    expect((await pageCompletions(db, stranger.id, ['subject'], {})).edges).toEqual([]);
  });

  it('pages from the newest to the oldest, of one mode or of all', async () => {
    const user = await newUser();
    await store(user, { text: 'old' });
    await store(user, { text: 'middle', mode: 'continue' });
    await store(user, { text: 'new' });
    const texts = async (modes: readonly string[], first: number) => {
      const { edges } = await pageCompletions(database().kysely, user.id, modes, { first });
      return edges.map(({ node }) => node.text);
    };
    expect(await texts(['subject', 'continue'], 2)).toEqual(['new', 'middle']);
    expect(await texts(['subject'], 20)).toEqual(['new', 'old']);
  });
});

describeEachDatabase('reportCompletion', (database: () => Database) => {
  const report = {
    ...{ deviceId: 'phone', clientId: 'k', mode: 'subject', input: { body: 'BODY' } },
    ...{ text: 'by itself', adapterId: null },
  };
  const send = (user: TestUser, fields: Partial<typeof report> | { adapterId: string } = {}) => {
    const deps = {
      db: database().kysely,
      catalog,
      clock: STOPPED,
      countTokens: (messages: readonly unknown[], text: string) => ({
        promptTokens: messages.length,
        completionTokens: text.length,
      }),
    };
    return reportCompletion(deps, user.id, { ...report, ...fields });
  };
  const newUser = () => newTestUser(database().kysely, catalog);
  const newAdapter = async (userId: string | null, mode: string) => {
    const row = {
      ...{ userId, mode, version: 1, status: 'SUPERSEDED' as const, origin: 'SERVER' as const },
      ...{ baseSha256: 'b', rank: 8, sha256: randomUUID(), files: '[]', dataThrough: 7 },
      createdAt: NOW,
    };
    const insert = database().kysely.insertInto('adapters').values(row).returning('id');
    return (await insert.executeTakeFirstOrThrow()).id;
  };

  it('stores what a device answered, with the adapter that did', async () => {
    const user = await newUser();
    const adapterId = await newAdapter(user.id, 'subject');
    expect(await send(user, { adapterId })).toMatchObject({
      ...{ text: 'by itself', adapterId, dataThrough: 7, finishReason: 'STOP' },
      ...{ promptTokens: 2, completionTokens: 9, clientId: 'k', input: { body: 'BODY' } },
    });
  });

  it('returns the first report when it is repeated', async () => {
    const user = await newUser();
    const first = await send(user);
    expect(await send(user, { text: 'something else' })).toEqual(first);
  });

  it('remembers which records the prompt showed', async () => {
    const user = await newUser();
    const email = 'ann@example.org';
    const data = { name: 'Ann', email };
    await user.push({ source: 'contacts', recordId: 'c1', data });
    const input = { from: email, subject: 's', body: 'b' };
    const { id, context } = await send(user, { mode: 'reply', input } as object);
    expect(context).toEqual({ contact: data });
    const shown = await database()
      .kysely.selectFrom('completionRecords')
      .selectAll()
      .where('completionId', '=', id)
      .execute();
    expect(shown).toMatchObject([{ source: 'contacts', recordId: 'c1' }]);
  });

  it.each([
    ['an unknown device', { deviceId: 'tablet' }, 'NOT_FOUND', /No device "tablet"/],
    ['an unknown mode', { mode: 'sbject' }, 'NOT_FOUND', /no mode "sbject"/],
    ['an input of another mode', { mode: 'continue' }, 'BAD_INPUT', /input.text is missing/],
    ['an unknown adapter', { adapterId: randomUUID() }, 'NOT_FOUND', /no adapter of yours/],
    ['a text that cannot be stored', { text: '\ud800' }, 'BAD_INPUT', /text must not hold half/],
    ['a text that is a library', { text: 'x'.repeat(100_001) }, 'BAD_INPUT', /it has 100001/],
    ['a clientId that is a novel', { clientId: 'x'.repeat(201) }, 'BAD_INPUT', /it has 201/],
  ])('refuses %s', async (_what, fields, code, message) => {
    const user = await newUser();
    const error = expect.objectContaining({ code, message: expect.stringMatching(message) });
    await expect(send(user, fields)).rejects.toEqual(error);
  });

  it('refuses an adapter of another user or of another mode', async () => {
    const [user, stranger] = [await newUser(), await newUser()];
    const foreign = await newAdapter(stranger.id, 'subject');
    await expect(send(user, { adapterId: foreign })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const other = await newAdapter(user.id, 'reply');
    await expect(send(user, { adapterId: other })).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: expect.stringContaining('of mode "reply", but the answer is of mode "subject"'),
    });
  });
});
