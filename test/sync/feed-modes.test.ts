import { expect, it } from 'vitest';
import { toGlobalId } from '../../src/lib/global-id.ts';
import { checksumAfter, type FeedPage, type Resync, readFeed } from '../../src/sync/feed.ts';
import { feedChecksum } from '../../src/sync/protocol-checksum.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { lineOf, newSubscriber } from './fixture.ts';

function pageOf(result: FeedPage | Resync): FeedPage {
  if (result.kind === 'page') return result;
  throw new Error(`resync: ${result.reason}`);
}

describeEachDatabase('the adapter feed of a server with fewer modes', (database) => {
  it('leaves out adapters of modes that the server does not have, in its checksum too (FEED-15)', async () => {
    const { deps, userId, read, publish, revoke } = await newSubscriber(database());
    const [one, two] = [await publish('one'), await publish('two', 'reply')];
    const few = { ...deps, catalog: { modes: [{ key: 'subject' }] } };
    const page = pageOf(await readFeed(few, userId, null, 1));
    expect([page.events.map(lineOf), page.hasMore]).toEqual([['ready subject 1'], false]);
    const own = feedChecksum([['subject', toGlobalId('Adapter', one.id)]]);
    expect(await checksumAfter(few, userId, page)).toBe(own);
    // who has been told of nothing is told by the checksum once the mode is there
    const later = pageOf(await read(page.cursor));
    expect([later.events, await checksumAfter(deps, userId, later)]).toEqual([
      [],
      expect.not.stringMatching(own),
    ]);
    await revoke(two.id);
    const { events } = pageOf(await readFeed(few, userId, page.cursor, 100));
    expect(events.map(lineOf)).toEqual(['revoked reply DATA_DELETED']);
  });
});
