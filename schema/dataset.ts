import { objectType } from 'nexus';
import { globalId } from './node.ts';

/** What a (user, mode) trains on. */
export const Dataset = objectType({
  name: 'Dataset',
  description: "What a user's mode trains on: a pure function of records and ratings.",
  definition(t) {
    t.implements('Node');
    t.id('id', { resolve: globalId('Dataset') });
    t.string('sha256', {
      description: 'SHA-256 over the ordered example hashes: equal data, equal hash.',
    });
    t.int('exampleCount');
    t.int('preferenceCount');
    t.int('changeSeq', { description: 'The last change folded in.' });
    t.field('createdAt', { type: 'DateTime' });
  },
});
