import { mutationField, nonNull, objectType, stringArg } from 'nexus';
import { eraseRecords } from '../src/erasure/erase-records.ts';
import { eraseUser } from '../src/erasure/erase-user.ts';
import { type Erasure, signReceipt } from '../src/erasure/receipt.ts';
import type { Json } from '../src/lib/canonical-json.ts';
import type { Services } from './context.ts';

/** What an erasure did. */
export const ErasureReceipt = objectType({
  name: 'ErasureReceipt',
  description: 'What an erasure did, and the signed proof of it.',
  definition(t) {
    t.field('requestedAt', { type: 'DateTime' });
    t.field('completedAt', { type: 'DateTime' });
    t.field('counts', { type: 'JSON', description: 'How many rows went, by what they were.' });
    t.list.string('adapters', {
      description: 'SHA-256 of the adapters that were withdrawn, the oldest first.',
    });
    t.nullable.string('dataKeySha256', {
      description: 'SHA-256 of the data key that was destroyed; null where it is still needed.',
    });
    t.field('receipt', {
      type: 'JSON',
      description:
        'All of this signed (a DSSE envelope and its public key). Save it: `attune verify-receipt FILE` checks it without the server.',
    });
  },
});

/** Erases records. */
export const eraseRecordsMutation = mutationField('eraseRecords', {
  type: ErasureReceipt,
  description:
    "Erases the viewer's records of a source, those that happened before some time or all, with what was made of them: examples, answers, ratings. Adapters that learnt from them are revoked, and their modes trained anew.",
  args: { source: nonNull(stringArg()), before: 'DateTime' },
  resolve: async (_, { source, before }, { services, viewer }) =>
    asReceipt(
      services,
      await eraseRecords(services, viewer.id, { source, before: before ?? null }),
    ),
});

/** Erases a user. */
export const eraseViewerMutation = mutationField('eraseViewer', {
  type: ErasureReceipt,
  description:
    'Erases the viewer and all that is theirs, for good: runs are cancelled, adapters revoked, the data key is destroyed. The next call with a valid token begins anew, with nothing.',
  resolve: async (_, __, { services, viewer }) =>
    asReceipt(services, await eraseUser(services, viewer.id)),
});

async function asReceipt({ manifestKeys }: Services, erasure: Erasure) {
  return {
    ...erasure,
    requestedAt: new Date(erasure.requestedAt),
    completedAt: new Date(erasure.completedAt),
    receipt: (await signReceipt(manifestKeys, erasure)) as unknown as Json,
  };
}
