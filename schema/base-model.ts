import { objectType } from 'nexus';
import { toGlobalId } from '../src/lib/global-id.ts';
import { filesAt } from './file.ts';

/** The model that all adapters of this server adapt. */
export const BaseModel = objectType({
  name: 'BaseModel',
  description: 'A model package: weights, tokenizer and graphs.',
  definition(t) {
    t.implements('Node');
    t.id('id', { resolve: ({ sha256 }) => toGlobalId('BaseModel', sha256) });
    t.string('name');
    t.string('sha256', {
      description: 'SHA-256 of the model package; an adapter is valid for exactly one.',
    });
    t.list.field('files', {
      type: 'File',
      description:
        'Relative URLs a device downloads to run the same model (decode graph, weights, tokenizer).',
      resolve: ({ files, sha256 }) => filesAt(`/models/${sha256}`, files),
    });
  },
});
