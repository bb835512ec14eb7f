// Relay connections, the same shape for every noun.

import { intArg, objectType, stringArg } from 'nexus';

/** The arguments of every connection; what they may be is checked where pages are read. */
export const pageArgs = {
  first: intArg(),
  after: stringArg(),
  last: intArg(),
  before: stringArg(),
};

/** Where a page lies among all items. */
export const PageInfo = objectType({
  name: 'PageInfo',
  description: 'Where a page lies among all items, in the order of its connection.',
  definition(t) {
    t.boolean('hasNextPage');
    t.boolean('hasPreviousPage');
    t.nullable.string('startCursor');
    t.nullable.string('endCursor');
  },
});

/** The connection and edge types of one noun. */
export function connectionOf(noun: 'Record' | 'Completion' | 'Adapter' | 'TrainingRun') {
  const edge = objectType({
    name: `${noun}Edge`,
    description: `One item of a ${noun}Connection.`,
    definition(t) {
      t.string('cursor', { description: 'Where the item stands: for after and before.' });
      t.field('node', { type: noun });
    },
  });
  const connection = objectType({
    name: `${noun}Connection`,
    description: 'One page: first/after or last/before; with neither, the first 20; at most 100.',
    definition(t) {
      t.list.field('edges', { type: edge });
      t.field('pageInfo', { type: 'PageInfo' });
    },
  });
  return [edge, connection];
}
