import {
  enumType,
  inputObjectType,
  list,
  mutationField,
  nonNull,
  objectType,
  unionType,
} from 'nexus';
import { pushChanges } from '../src/changes/push-changes.ts';
import { inOwnName } from './own-name.ts';

/** What a change does to its record. */
export const ChangeKind = enumType({
  name: 'ChangeKind',
  description: 'What a change does to its record.',
  members: ['UPSERT', 'DELETE'],
});

/** One change. */
export const ChangeInput = inputObjectType({
  name: 'ChangeInput',
  description: "An upsert or a delete of one of the user's records.",
  definition(t) {
    t.nonNull.int('mutationId', { description: 'Contiguous per device, from 1.' });
    t.nonNull.string('source');
    t.nonNull.string('recordId');
    t.nonNull.field('kind', { type: ChangeKind });
    t.field('data', {
      type: 'JSON',
      description: "Required for UPSERT; its shape is the source's.",
    });
    t.nonNull.field('occurredAt', { type: 'DateTime' });
  },
});

/** The changes of one device. */
export const PushChangesInput = inputObjectType({
  name: 'PushChangesInput',
  description: 'Changes of one device, in order.',
  definition(t) {
    t.nonNull.id('deviceId');
    t.field('changes', {
      type: nonNull(list(nonNull(ChangeInput))),
      description: 'At most 1,000, contiguous mutationIds; 4 MB in all.',
    });
  },
});

/** What became of a change. */
export const ChangeOutcome = enumType({
  name: 'ChangeOutcome',
  description: 'What became of a change.',
  members: [
    'APPLIED',
    {
      name: 'DUPLICATE',
      description:
        'Seen before with the same payload: changeSeq and reason are those of the first time.',
    },
    'REJECTED',
  ],
});

/** The answer to one change. */
export const ChangeResult = objectType({
  name: 'ChangeResult',
  description: 'The answer to one change.',
  definition(t) {
    t.int('mutationId');
    t.field('outcome', { type: ChangeOutcome });
    t.nullable.string('reason', {
      description:
        'Set when REJECTED (data that does not fit its source; CONFLICT: the mutationId was used for another payload). A rejected change never blocks the ones behind it.',
    });
    t.nullable.int('changeSeq', { description: "Its place in the user's order of changes." });
  },
});

/** All changes were looked at. */
export const PushAccepted = objectType({
  name: 'PushAccepted',
  description: 'Every change was applied, known already, or rejected for a reason of its own.',
  definition(t) {
    t.list.field('results', { type: ChangeResult });
    t.int('lastMutationId');
    t.list.field('affectedModes', {
      type: 'Mode',
      description: 'Modes that declare one of the changed sources.',
      resolve: ({ affectedModes }, _, { services }) =>
        affectedModes.map((key) => services.catalog.mode(key)),
    });
  },
});

/** No change was looked at. */
export const PushGap = objectType({
  name: 'PushGap',
  description: 'Nothing was applied: the first mutationId is greater than the next one expected.',
  definition(t) {
    t.int('expectedMutationId');
  },
});

/** The answer to a push. */
export const PushChangesResult = unionType({
  name: 'PushChangesResult',
  description: 'Accepted, or a gap before the first change.',
  resolveType: ({ kind }) => (kind === 'accepted' ? 'PushAccepted' : 'PushGap'),
  definition(t) {
    t.members(PushAccepted, PushGap);
  },
});

/** Takes a device's changes. */
export const pushChangesMutation = mutationField('pushChanges', {
  type: PushChangesResult,
  description: 'Applies each change once, in mutationId order. Safe to repeat.',
  args: { input: nonNull(PushChangesInput) },
  resolve: (_, { input }, context) =>
    pushChanges(context.services, context.viewer.id, inOwnName(context, input)),
});
