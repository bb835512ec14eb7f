import { enumType, nullable, objectType } from 'nexus';
import { pageAdapters } from '../src/adapters/registry.ts';
import { upToDateThrough } from '../src/dataset/up-to-date.ts';
import type { Json } from '../src/lib/canonical-json.ts';
import { toGlobalId } from '../src/lib/global-id.ts';
import { pageRuns } from '../src/runs/runs.ts';
import { pageArgs } from './connection.ts';
import { filesAt } from './file.ts';

/** What an adapter of the mode is trained for. */
export const Objective = enumType({
  name: 'Objective',
  description:
    'What training optimises: the answers (SFT), preferred answers (DPO), or both in turn.',
  members: ['SFT', 'DPO', 'SFT_THEN_DPO'],
});

/** A behaviour of the base model, as the viewer has it. */
export const Mode = objectType({
  name: 'Mode',
  description: 'A behaviour of the base model. Each user has at most one live adapter per mode.',
  definition(t) {
    t.implements('Node');
    t.id('id', { resolve: ({ key }) => toGlobalId('Mode', key) });
    t.string('key');
    t.string('title');
    t.string('description');
    t.list.string('sources', {
      description:
        "The data sources whose records feed this mode's training set: a change in one of them re-trains the mode.",
    });
    t.field('objective', { type: Objective });
    t.field('outputSchema', {
      type: nullable('JSON'),
      description: 'The JSON schema that every finished answer fits; null: answers are plain text.',
      resolve: ({ output }) => output?.schema ?? null,
    });
    t.field('base', { type: 'BaseModel', resolve: (_, __, { services }) => services.base });
    t.field('definition', {
      type: 'JSON',
      description:
        'What a device needs to answer in this mode by itself: prompt templates, limits, stop strings, LoRA shape.',
      resolve: ({ definition }) => definition as unknown as Json,
    });
    t.list.field('trainingFiles', {
      type: 'File',
      description:
        'What a device that trains the mode downloads besides the base: graphs over the same weights. Empty: devices do not train it.',
      resolve: ({ key }, _, { services }) =>
        filesAt(`/models/${services.base.sha256}`, services.trainingFiles.get(key) ?? []),
    });
    t.field('adapter', {
      type: nullable('Adapter'),
      description:
        "What answers for this user now: the user's own live adapter, else the mode's shipped one, else null (the bare base).",
      resolve: async ({ key }, _, { loaders }) =>
        (await loaders.liveAdapter.load(key)) ?? loaders.shippedAdapter.load(key),
    });
    t.field('shippedAdapter', {
      type: nullable('Adapter'),
      description: 'The behaviour everyone starts from, if the mode ships one.',
      resolve: ({ key }, _, { loaders }) => loaders.shippedAdapter.load(key),
    });
    t.field('adapters', {
      type: 'AdapterConnection',
      description: "This user's adapters of the mode, the newest first.",
      args: pageArgs,
      resolve: ({ key }, page, { services, viewer }) =>
        pageAdapters(services.db, viewer.id, key, page),
    });
    t.field('dataset', {
      type: nullable('Dataset'),
      description: 'The training set as it was last folded.',
      resolve: ({ key }, _, { loaders }) => loaders.latestDataset.load(key),
    });
    t.int('upToDateThrough', {
      description:
        'Every change up to here is either in the live adapter or known not to matter for it.',
      resolve: (mode, _, { services, viewer }) => upToDateThrough(services.db, viewer.id, mode),
    });
    t.field('runs', {
      type: 'TrainingRunConnection',
      description: "This user's training runs of the mode, the newest first.",
      args: pageArgs,
      resolve: ({ key }, page, { services, viewer }) => pageRuns(services.db, viewer.id, key, page),
    });
  },
});
