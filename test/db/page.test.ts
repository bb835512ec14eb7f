import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { type Page, type PageArgs, page } from '../../src/db/page.ts';
import type { RunRow } from '../../src/db/schema.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';

const COUNT = 7;

describeEachDatabase('page', (database) => {
  let userId: string;
  beforeAll(async () => {
    const values = { subject: randomUUID(), feedEpoch: 'e', createdAt: new Date() };
    const insert = database().kysely.insertInto('users').values(values).returning('id');
    userId = (await insert.executeTakeFirstOrThrow()).id;
    const runs = Array.from({ length: COUNT }, (_, n) => ({
      userId,
      mode: String(n),
      status: 'SKIPPED' as const,
      forced: false,
      losses: '[]',
      queuedAt: new Date(),
    }));
    await database().kysely.insertInto('runs').values(runs).execute();
  });

  const read = (args: PageArgs, order: 'asc' | 'desc' = 'asc'): Promise<Page<RunRow>> => {
    const query = database().kysely.selectFrom('runs').selectAll().where('userId', '=', userId);
    return page(query, { column: 'seq', order }, args);
  };
  const modes = (result: Page<RunRow>) => result.edges.map(({ node }) => Number(node.mode));

  /** The whole list in pages of `size`, from its first row to its last. */
  const walkForward = async (
    size: number,
    order: 'asc' | 'desc',
    after: string | null = null,
  ): Promise<number[]> => {
    const result = await read({ first: size, after }, order);
    const { hasNextPage, endCursor } = result.pageInfo;
    return [...modes(result), ...(hasNextPage ? await walkForward(size, order, endCursor) : [])];
  };

  /** The same from its last row to its first. */
  const walkBackward = async (
    size: number,
    order: 'asc' | 'desc',
    before: string | null = null,
  ): Promise<number[]> => {
    const result = await read({ last: size, before }, order);
    const { hasPreviousPage, startCursor } = result.pageInfo;
    const rest = hasPreviousPage ? await walkBackward(size, order, startCursor) : [];
    return [...rest, ...modes(result)];
  };

  it('shows every row once and in order, whatever the page size and the direction', async () => {
    const ascending = Array.from({ length: COUNT }, (_, n) => n);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: COUNT + 1 }),
        fc.constantFrom('asc' as const, 'desc' as const),
        async (size, order) => {
          const expected = order === 'asc' ? ascending : ascending.toReversed();
          expect(await walkForward(size, order)).toEqual(expected);
          expect(await walkBackward(size, order)).toEqual(expected);
        },
      ),
      { numRuns: 16 },
    );
  });

  it('knows what lies before and behind a page', async () => {
    const first = await read({ first: 3 });
    expect(first.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: false });
    const second = await read({ first: 3, after: first.pageInfo.endCursor });
    expect(second.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: true });
    const back = await read({ last: 5, before: second.pageInfo.startCursor });
    expect(back.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: false });
    expect(modes(back)).toEqual([0, 1, 2]);
  });

  it('is empty without rows, and for a count of 0', async () => {
    const none = await read({ first: 0 });
    expect(none).toMatchObject({ edges: [], pageInfo: { startCursor: null, endCursor: null } });
    expect(none.pageInfo.hasNextPage).toBe(true);
  });

  it.each<[string, PageArgs]>([
    ['first and last', { first: 1, last: 1 }],
    ['first and before', { first: 1, before: 'a2V5OjE' }],
    ['after and last', { after: 'a2V5OjE', last: 1 }],
    ['a negative count', { first: -1 }],
    ['more than 100', { last: 101 }],
    ['half a row', { first: 1.5 }],
    ['a cursor that is no base64', { after: '!' }],
    ['an empty cursor', { after: '' }],
    ['a cursor of something else', { before: Buffer.from('key:abc').toString('base64url') }],
  ])('refuses %s', async (_, args) => {
    await expect(read(args)).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });
});
