import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DEVICE_LEASE_MS } from '../../src/adapters/held-adapters.ts';
import { registerDevice } from '../../src/changes/devices.ts';
import type { AdapterRow } from '../../src/db/schema.ts';
import { must } from '../../src/lib/errors.ts';
import { toGlobalId } from '../../src/lib/global-id.ts';
import { feedTopic } from '../../src/lib/wakeups.ts';
import type { FeedEvent, FeedPage, Resync } from '../../src/sync/feed.ts';
import { checksumAfter, readFeed } from '../../src/sync/feed.ts';
import { followFeed } from '../../src/sync/follow-feed.ts';
import { feedChecksum } from '../../src/sync/protocol-checksum.ts';
import { handClock } from '../support/clocks/hand-clock.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { lineOf, newSubscriber } from './fixture.ts';

const named = (deviceId: string) => ({ deviceId, name: deviceId, platform: 'test' });

function pageOf(result: FeedPage | Resync): FeedPage {
  if (result.kind === 'page') return result;
  throw new Error(`resync: ${result.reason}`);
}

describeEachDatabase('the adapter feed', (database) => {
  const subscriber = () => newSubscriber(database());

  it('is empty at first and goes on from there', async () => {
    const { read, publish } = await subscriber();
    const empty = pageOf(await read(null));
    expect(empty).toMatchObject({ events: [], hasMore: false });
    const adapter = await publish('one');
    const page = pageOf(await read(empty.cursor));
    expect(page.events).toEqual([
      { kind: 'ready', cursor: expect.any(String), trace: null, adapter },
    ]);
    expect(page.cursor).toBe(page.events[0]?.cursor);
  });

  it('shows every event after a cursor, in order (FEED-1)', async () => {
    const { read, publish, revoke } = await subscriber();
    const { cursor } = pageOf(await read(null));
    const first = await publish('one');
    await publish('two');
    await publish('else', 'reply');
    await revoke(first.id);
    const { events } = pageOf(await read(cursor));
    const lines = [
      'ready subject 1',
      'ready subject 2',
      'ready reply 1',
      'revoked subject DATA_DELETED',
    ];
    expect(events.map(lineOf)).toEqual(lines);
  });

  it('starts from null with the newest adapter of each mode and the revocations still owed (FEED-2)', async () => {
    const { read, publish, revoke, acknowledge } = await subscriber();
    const [held, unheld] = [await publish('one'), await publish('two')];
    await publish('three');
    await publish('else', 'reply');
    await acknowledge(held.id, 'INSTALLED');
    await revoke(held.id, unheld.id);
    const { events } = pageOf(await read(null));
    const lines = ['ready subject 3', 'ready reply 1', 'revoked subject DATA_DELETED'];
    expect(events.map(lineOf)).toEqual(lines);
    expect(events[2]).toMatchObject({ adapterId: held.id });
    await acknowledge(held.id, 'REMOVED');
    expect(pageOf(await read(null)).events.map(lineOf)).toEqual(lines.slice(0, 2));
  });

  it('does not repeat, after starting from null, what was left out there (FEED-3)', async () => {
    const { read, publish } = await subscriber();
    for (const content of ['one', 'two', 'three']) await publish(content);
    const { cursor } = pageOf(await read(null));
    expect(pageOf(await read(cursor)).events).toEqual([]);
    await publish('four');
    expect(pageOf(await read(cursor)).events.map(lineOf)).toEqual(['ready subject 4']);
  });

  it('shows the same events whatever the size of the pages (FEED-4)', async () => {
    const { read, publish, revoke, acknowledge } = await subscriber();
    const { cursor: start } = pageOf(await read(null));
    const adapters: AdapterRow[] = [];
    for (const mode of ['a', 'b', 'c', 'a']) adapters.push(await publish(mode, mode));
    const first = must(adapters[0], 'four were published');
    await acknowledge(first.id, 'INSTALLED');
    await revoke(...adapters.slice(0, 2).map(({ id }) => id));
    const walk = async (after: string | null, size: number): Promise<FeedEvent[]> => {
      const page = pageOf(await read(after, size));
      return [...page.events, ...(page.hasMore ? await walk(page.cursor, size) : [])];
    };
    const sizes = fc.integer({ min: 1, max: 7 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.boolean(), async (size, fromNull) => {
        const after = fromNull ? null : start;
        expect(await walk(after, size)).toEqual(pageOf(await read(after)).events);
      }),
      { numRuns: 14 },
    );
  });

  it.each([0, -1, 101, 1.5])('refuses a page of %d events', async (first) => {
    const { read } = await subscriber();
    await expect(read(null, first)).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  it('resyncs on a cursor that it did not hand out to this user (FEED-5)', async () => {
    const { deps, userId, read, publish } = await subscriber();
    await publish('one');
    const { cursor } = pageOf(await read(null));
    const stranger = await subscriber();
    await stranger.publish('theirs');
    const theirs = pageOf(await stranger.read(null)).cursor;
    const [payload = '', signature = ''] = cursor.split('.');
    const ahead = Buffer.from(payload, 'base64url').toString().replace('1', '9');
    const forged = `${Buffer.from(ahead).toString('base64url')}.${signature}`;
    const foreign = [
      '',
      'x',
      '.',
      payload,
      `${cursor}x`,
      `${cursor}.x`,
      cursor.slice(0, -1),
      theirs,
      forged,
    ];
    for (const after of foreign) {
      expect(await read(after)).toMatchObject({
        kind: 'resync',
        code: 'UNKNOWN_CURSOR',
        reason: expect.stringMatching(/./),
      });
    }
    const otherServer = { ...deps, cursorSecret: new Uint8Array(32) };
    expect(await readFeed(otherServer, userId, cursor, 1)).toMatchObject({ kind: 'resync' });
  });

  it('resyncs when the feed began anew, and when it is shorter than the cursor (FEED-6)', async () => {
    const { db, userId, read, publish } = await subscriber();
    await publish('one');
    const { cursor } = pageOf(await read(null));
    await db.updateTable('users').set({ feedSeq: 0 }).where('id', '=', userId).execute();
    expect(await read(cursor)).toMatchObject({
      code: 'AHEAD',
      reason: 'the cursor is ahead of the feed',
    });
    await db.updateTable('users').set({ feedEpoch: 'new' }).where('id', '=', userId).execute();
    expect(await read(cursor)).toMatchObject({ code: 'NEW_EPOCH' });
  });

  it('keeps a revocation until every device has taken it that was seen within the lease (FEED-11)', async () => {
    const { deps, userId, publish, revoke, acknowledge, acknowledgeAs, readAt } =
      await subscriber();
    const held = await publish('one');
    const start = Date.now();
    for (const [device, now] of [
      ['phone', start],
      ['tablet', start + DEVICE_LEASE_MS / 2],
    ] as const) {
      await registerDevice({ ...deps, clock: handClock(now) }, userId, named(device));
      await acknowledgeAs(device, handClock(now), held.id, 'INSTALLED');
    }
    await revoke(held.id);
    const linesAt = async (now: number) => pageOf(await readAt(now, null)).events.map(lineOf);
    const owed = ['revoked subject DATA_DELETED'];
    expect(await linesAt(start + DEVICE_LEASE_MS)).toEqual(owed);
    // both are lost now
    expect(await linesAt(start + 2 * DEVICE_LEASE_MS)).toEqual([]);
    // one comes back, and is owed the news again
    await registerDevice(
      { ...deps, clock: handClock(start + 2 * DEVICE_LEASE_MS) },
      userId,
      named('tablet'),
    );
    expect(await linesAt(start + 2 * DEVICE_LEASE_MS)).toEqual(owed);
    await acknowledge(held.id, 'REMOVED');
    expect(await linesAt(start + 2 * DEVICE_LEASE_MS)).toEqual(owed);
    await acknowledgeAs('tablet', handClock(start + 2 * DEVICE_LEASE_MS), held.id, 'REMOVED');
    expect(await linesAt(start + 2 * DEVICE_LEASE_MS)).toEqual([]);
  });

  it('expires a cursor when what came after it was trimmed, and no other (FEED-12)', async () => {
    const { read, readAt, publish, publishAt } = await subscriber();
    const start = Date.now();
    const { cursor: empty } = pageOf(await read(null));
    await publish('one');
    const { cursor: atOne } = pageOf(await read(null));
    await publish('two');
    // in the middle of a backfill, which needs nothing of what is trimmed
    await publish('else', 'reply');
    const { cursor: between, hasMore } = pageOf(await read(null, 1));
    expect(hasMore).toBe(true);
    const later = start + DEVICE_LEASE_MS + 60_000;
    await publishAt(later, 'three', 'reply');
    expect(await readAt(later, empty)).toMatchObject({ kind: 'resync', code: 'EXPIRED' });
    // version 2 is live and was kept; reply 1 was superseded and was not
    expect(await readAt(later, atOne)).toMatchObject({ kind: 'resync', code: 'EXPIRED' });
    const rest = pageOf(await readAt(later, between)).events.map(lineOf);
    expect(rest).toEqual(['ready reply 2']);
    const anew = pageOf(await readAt(later, null));
    expect(anew.events.map(lineOf)).toEqual(['ready subject 2', 'ready reply 2']);
    expect(pageOf(await readAt(later, anew.cursor)).events).toEqual([]);
  });

  it('says at its end what a device then ought to hold (FEED-13)', async () => {
    const { deps, userId, read, publish, revoke } = await subscriber();
    const checksum = async (page: FeedPage) => checksumAfter(deps, userId, page);
    expect(await checksum(pageOf(await read(null)))).toBe(feedChecksum([]));
    const [one, two] = [await publish('one'), await publish('two', 'reply')];
    const nameOf = ({ mode, id }: AdapterRow) => [mode, toGlobalId('Adapter', id)] as const;
    expect(await checksum(pageOf(await read(null, 1)))).toBeNull();
    const end = pageOf(await read(null));
    expect(await checksum(end)).toBe(feedChecksum([nameOf(two), nameOf(one)]));
    await revoke(one.id);
    // the page is no longer the newest word
    expect(await checksum(end)).toBeNull();
    expect(await checksum(pageOf(await read(end.cursor)))).toBe(feedChecksum([nameOf(two)]));
  });

  it('shows a user nothing of another', async () => {
    const { publish } = await subscriber();
    await publish('mine');
    const stranger = await subscriber();
    expect(pageOf(await stranger.read(null)).events).toEqual([]);
  });
});

describeEachDatabase('following the feed', (database) => {
  const subscriber = () => newSubscriber(database());

  it('shows what is there, then what comes', async () => {
    const { deps, userId, publish } = await subscriber();
    await publish('one');
    const stop = new AbortController();
    const events = followFeed(deps, userId, null, stop.signal);
    expect(await events.next()).toMatchObject({ value: { adapter: { version: 1 } } });
    const next = events.next();
    await publish('two');
    expect(await next).toMatchObject({ value: { adapter: { version: 2 } } });
    const last = events.next();
    stop.abort();
    expect(await last).toEqual({ done: true, value: undefined });
  });

  it('goes on exactly after its cursor', async () => {
    const { deps, userId, publish } = await subscriber();
    for (const content of ['one', 'two']) await publish(content);
    const stop = new AbortController();
    const first = await followFeed(deps, userId, null, stop.signal).next();
    if (first.done || first.value.kind !== 'ready') throw new Error('an adapter is ready');
    await publish('three');
    const rest = followFeed(deps, userId, first.value.cursor, stop.signal);
    expect(await rest.next()).toMatchObject({ value: { adapter: { version: 3 } } });
    stop.abort();
  });

  it('loses nothing and repeats nothing, however publishing and reading interleave (FEED-7)', async () => {
    const { deps, userId, publish, read } = await subscriber();
    const { cursor } = pageOf(await read(null));
    const stop = new AbortController();
    const versions: number[] = [];
    const following = (async () => {
      for await (const event of followFeed(deps, userId, cursor, stop.signal)) {
        if (event.kind === 'ready') versions.push(event.adapter.version);
        if (versions.length === 10) stop.abort();
      }
    })();
    for (let n = 1; n <= 10; n += 1) await publish(`number ${n}`);
    await following;
    expect(versions).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('ends after a resync (FEED-8)', async () => {
    const { deps, userId } = await subscriber();
    const events = followFeed(deps, userId, 'nonsense', new AbortController().signal);
    expect(await events.next()).toMatchObject({ value: { kind: 'resync' } });
    expect(await events.next()).toMatchObject({ done: true });
  });

  it('looks again after a wake-up that meant nothing (FEED-10)', async () => {
    const { deps, userId, publish } = await subscriber();
    const stop = new AbortController();
    const events = followFeed(deps, userId, null, stop.signal);
    const next = events.next();
    deps.wakeups.wake(feedTopic(userId));
    await publish('one');
    expect(await next).toMatchObject({ value: { adapter: { version: 1 } } });
    stop.abort();
  });
});
