import { enumType, idArg, mutationField, nonNull, nullable, objectType } from 'nexus';
import { rollbackAdapter } from '../src/adapters/rollback.ts';
import { connectionOf } from './connection.ts';
import { filesAt } from './file.ts';
import { loadIf } from './loaders.ts';
import { globalId, ownId } from './node.ts';

/** Where an adapter's bytes came from. */
export const AdapterOrigin = enumType({
  name: 'AdapterOrigin',
  description: "Where an adapter's bytes came from.",
  members: [
    'SERVER',
    'DEVICE',
    'SHIPPED',
    { name: 'ROLLBACK', description: 'The bytes of an earlier version, live again.' },
  ],
});

/** Where an adapter stands in its life. */
export const AdapterStatus = enumType({
  name: 'AdapterStatus',
  description: 'Where an adapter stands in its life.',
  members: [
    'LIVE',
    { name: 'REJECTED', description: 'Trained, but did not pass the gate.' },
    { name: 'SUPERSEDED', description: 'A newer adapter took its place.' },
    {
      name: 'REVOKED',
      description:
        'Withdrawn: rolled back from, or trained on data since deleted. Devices must remove it.',
    },
  ],
});

/** How a candidate did. */
export const Evaluation = objectType({
  name: 'Evaluation',
  description:
    'How the candidate did on held-out examples, against the base model and against the adapter it would replace.',
  definition(t) {
    t.int('holdoutExamples');
    t.nullable.float('loss', {
      description:
        'Mean negative log-likelihood per target token (nats); null for a set of preferences alone.',
    });
    t.nullable.float('baseLoss');
    t.nullable.float('previousLoss');
    t.nullable.float('preferenceAccuracy', {
      description:
        "Share of held-out pairs whose log p(chosen) - log p(rejected), less the base's, is above 0 (a tie counts half); null without pairs.",
    });
    t.nullable.float('probeLoss', {
      description:
        'Mean negative log-likelihood per token (nats) on a fixed text that no user wrote: what the language itself cost.',
    });
    t.nullable.float('baseProbeLoss');
    t.boolean('passed');
    t.string('reason');
  },
});

/** Where an adapter comes from. */
export const AdapterLineage = objectType({
  name: 'AdapterLineage',
  description:
    'What an adapter was made from, as its file attune.json says it; null where nobody knows.',
  definition(t) {
    t.string('datasetSha256');
    t.nullable.string('parentSha256', {
      description: 'The tensors of the adapter that its training began from; null: from nothing.',
    });
    t.field('recipe', { type: 'JSON', description: 'All choices of its training.' });
    t.string('codeVersion', { description: "The server's, and ONNX Runtime's." });
    t.field('figures', {
      type: 'JSON',
      description:
        'Steps, how much was learnt from, what was dropped or cut for it and how often, first and last training loss, held-out figures.',
    });
  },
});

/** A trained LoRA. */
export const Adapter = objectType({
  name: 'Adapter',
  description: 'An immutable trained LoRA.',
  definition(t) {
    t.implements('Node');
    t.id('id', { resolve: globalId('Adapter') });
    t.field('mode', {
      type: 'Mode',
      resolve: ({ mode }, _, { services }) => services.catalog.mode(mode),
    });
    t.int('version', { description: 'Grows by one with every publication, a rollback included.' });
    t.field('status', { type: AdapterStatus });
    t.field('origin', { type: AdapterOrigin });
    t.field('base', { type: 'BaseModel', resolve: (_, __, { services }) => services.base });
    t.field('parent', {
      type: nullable('Adapter'),
      description: 'The adapter that was live before it.',
      resolve: ({ parentId }, _, { loaders }) => loadIf(loaders.adapter, parentId),
    });
    t.field('startedFrom', {
      type: nullable('Adapter'),
      description:
        'The adapter whose weights its training began from, a shipped one too; null: from nothing.',
      resolve: ({ startedFromId }, _, { loaders }) => loadIf(loaders.adapter, startedFromId),
    });
    t.field('lineage', { type: nullable(AdapterLineage) });
    t.nullable.float('onPolicyShare', {
      description:
        'Of the preferences it learnt from, the share about answers of the adapter that was live when its run began; null where there were none.',
    });
    t.field('dataset', {
      type: nullable('Dataset'),
      description:
        'Null where there is none to show: shipped, trained on a device, or since erased.',
      resolve: ({ datasetId }, _, { loaders }) => loadIf(loaders.dataset, datasetId),
    });
    t.field('run', {
      type: nullable('TrainingRun'),
      description: 'The run that trained it.',
      resolve: ({ runId }, _, { loaders }) => loadIf(loaders.run, runId),
    });
    t.int('rank');
    t.string('sha256', { description: 'SHA-256 of the canonical adapter_model.safetensors.' });
    t.list.field('files', {
      type: 'File',
      resolve: ({ files, sha256 }) => filesAt(`/adapters/${sha256}`, files),
    });
    t.field('evaluation', { type: nullable(Evaluation) });
    t.field('createdAt', { type: 'DateTime' });
  },
});

/** Pages of adapters. */
export const AdapterConnection = connectionOf('Adapter');

/** Takes an earlier version back into service. */
export const rollback = mutationField('rollbackAdapter', {
  type: Adapter,
  description:
    'Publishes the bytes of an earlier version as the next version and revokes the one it replaces. CONFLICT if that version was revoked.',
  args: { adapterId: nonNull(idArg()) },
  resolve: (_, { adapterId }, { services, viewer }) =>
    rollbackAdapter(services, viewer.id, ownId('Adapter', adapterId, 'adapterId')),
});
