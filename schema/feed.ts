import { arg, enumType, extendType, intArg, objectType, subscriptionField, unionType } from 'nexus';
import { toGlobalId } from '../src/lib/global-id.ts';
import { mark } from '../src/lib/trace.ts';
import { checksumAfter, readFeed } from '../src/sync/feed.ts';
import { followFeed } from '../src/sync/follow-feed.ts';

/** An adapter to install. */
export const AdapterReady = objectType({
  name: 'AdapterReady',
  description: 'An adapter was published: install it in place of the one before.',
  definition(t) {
    t.field('cursor', { type: 'Cursor', description: 'The position after this event.' });
    t.field('adapter', { type: 'Adapter' });
  },
});

/** An adapter to remove. */
export const AdapterRevoked = objectType({
  name: 'AdapterRevoked',
  description: 'An adapter was withdrawn: remove it.',
  definition(t) {
    t.field('cursor', { type: 'Cursor', description: 'The position after this event.' });
    t.id('adapterId', { resolve: ({ adapterId }) => toGlobalId('Adapter', adapterId) });
    t.string('modeKey');
    t.string('reason', {
      description: 'DATA_DELETED, ROLLED_BACK, RATED_WORSE, DAMAGED or USER_ERASED.',
    });
  },
});

/** Why a cursor leads nowhere. */
export const ResyncCode = enumType({
  name: 'ResyncCode',
  description: 'Why a cursor leads nowhere.',
  members: [
    { name: 'UNKNOWN_CURSOR', description: 'It was not handed out to this user.' },
    { name: 'OTHER_SCHEMA', description: 'Another version of the server made it.' },
    { name: 'NEW_EPOCH', description: 'The feed began anew since.' },
    { name: 'AHEAD', description: 'The feed is shorter.' },
    { name: 'EXPIRED', description: 'What came after it is no longer kept.' },
  ],
});

/** A cursor that leads nowhere. */
export const ResyncRequired = objectType({
  name: 'ResyncRequired',
  description:
    'The cursor can no longer be continued: drop local state and start from null. A subscription completes after it.',
  definition(t) {
    t.field('code', { type: ResyncCode });
    t.string('reason');
  },
});

/** GraphQL's names of the kinds of events. */
const TYPE_NAMES = {
  ready: 'AdapterReady',
  revoked: 'AdapterRevoked',
  resync: 'ResyncRequired',
} as const;

/** What happened to an adapter. */
export const AdapterEvent = unionType({
  name: 'AdapterEvent',
  description: 'What happened to an adapter.',
  resolveType: ({ kind }) => TYPE_NAMES[kind],
  definition(t) {
    t.members(AdapterReady, AdapterRevoked);
  },
});

/** What a subscriber to the feed gets. */
export const AdapterSignal = unionType({
  name: 'AdapterSignal',
  description: 'What happened to an adapter, or that the cursor leads nowhere.',
  resolveType: ({ kind }) => TYPE_NAMES[kind],
  definition(t) {
    t.members(AdapterReady, AdapterRevoked, ResyncRequired);
  },
});

/** Some events in order. */
export const AdapterFeedPage = objectType({
  name: 'AdapterFeedPage',
  description: 'Some events in order.',
  definition(t) {
    t.list.field('events', { type: AdapterEvent });
    t.field('cursor', { type: 'Cursor', description: 'Where the next page begins.' });
    t.boolean('hasMore');
    t.nullable.string('checksum', {
      description:
        "At the end of the feed: FNV-1a (64 bits, hex) over the sorted lines `<mode key> <adapter id>\\n` of the user's live adapters. A device that has taken every event and gets another one resyncs. Null before the end, and when something happened meanwhile.",
      resolve: (page, _, { services, viewer }) => checksumAfter(services, viewer.id, page),
    });
  },
});

/** A page of the feed, or the news that there is none. */
export const AdapterFeed = unionType({
  name: 'AdapterFeed',
  description: 'A page of adapter events, or that the cursor leads nowhere.',
  resolveType: ({ kind }) => (kind === 'page' ? 'AdapterFeedPage' : 'ResyncRequired'),
  definition(t) {
    t.members(AdapterFeedPage, ResyncRequired);
  },
});

/** The feed, page by page. */
export const adapterFeed = extendType({
  type: 'User',
  definition(t) {
    t.field('adapterFeed', {
      type: AdapterFeed,
      description:
        'One page of adapter events after a cursor. What a device calls to catch up. From null: the newest adapter per mode, and the revocations still owed.',
      args: { after: arg({ type: 'Cursor' }), first: intArg({ default: 100 }) },
      resolve: (user, { after, first }, { services }) =>
        readFeed(services, user.id, after ?? null, first ?? 100),
    });
  },
});

/** The feed, followed. */
export const adapterEvents = subscriptionField('adapterEvents', {
  type: AdapterSignal,
  description:
    'Backfills after the cursor (null: as adapterFeed does), then stays live; nothing between the two is lost.',
  args: { after: arg({ type: 'Cursor' }) },
  subscribe: (_, { after }, { services, viewer, signal }) =>
    followFeed(services, viewer.id, after ?? null, signal),
  resolve: (event) => {
    if (event.kind !== 'resync') mark('deliver', event.trace);
    return event;
  },
});
