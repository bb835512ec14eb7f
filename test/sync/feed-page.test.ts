import { expect, it } from 'vitest';
import { readFeed } from '../../src/sync/feed.ts';
import { countingRows } from '../support/rows-read.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { newSubscriber } from './fixture.ts';

describeEachDatabase('a page of the adapter feed', (database) => {
  it('reads no more events than it has, and one to know whether there are others', async () => {
    const { deps, userId, read, publish } = await newSubscriber(database());
    const start = await read(null);
    for (const text of ['one', 'two', 'three', 'four', 'five']) await publish(text);
    const { db, counts } = countingRows(deps.db);
    const { cursor } = start as { readonly cursor: string };
    const page = await readFeed({ ...deps, db }, userId, cursor, 2);
    expect(page).toMatchObject({ hasMore: true, events: [{ kind: 'ready' }, { kind: 'ready' }] });
    expect(counts).toEqual([3]);
  });
});
