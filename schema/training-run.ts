import {
  enumType,
  mutationField,
  nonNull,
  nullable,
  objectType,
  stringArg,
  subscriptionField,
} from 'nexus';
import type { RunStatus as Status } from '../src/db/schema.ts';
import { cancellable } from '../src/lib/cancellable.ts';

import { followRuns } from '../src/runs/follow-runs.ts';
import { retrain } from '../src/runs/runs.ts';
import { connectionOf } from './connection.ts';
import { loadIf } from './loaders.ts';
import { globalId } from './node.ts';
import type { TrainingRun as RunSource } from './source-types.ts';

/** Where a run stands. */
export const RunStatus = enumType({
  name: 'RunStatus',
  description: 'Where a training run stands.',
  members: [
    'QUEUED',
    'RUNNING',
    'PUBLISHED',
    'REJECTED',
    {
      name: 'SKIPPED',
      description: 'The dataset had not changed, or is too small (see reason).',
    },
    'FAILED',
    'CANCELLED',
  ],
});

/** One training attempt. */
export const TrainingRun = objectType({
  name: 'TrainingRun',
  description: 'One training attempt.',
  definition(t) {
    t.implements('Node');
    t.id('id', { resolve: globalId('TrainingRun') });
    t.field('mode', {
      type: 'Mode',
      resolve: ({ mode }, _, { services }) => services.catalog.mode(mode),
    });
    t.field('status', { type: RunStatus });
    t.float('progress', { description: '0 to 1.', resolve: progressOf });
    t.int('step');
    t.int('totalSteps');
    t.list.float('losses', {
      description: 'Training loss so far, oldest first.',
      resolve: ({ losses }) => losses,
    });
    t.nullable.float('loss', {
      description: 'Training loss of the newest step.',
      resolve: ({ losses }) => losses.at(-1) ?? null,
    });
    t.nullable.float('learningRate', { description: 'Of the newest step.' });
    t.nullable.float('tokensPerSecond', {
      description: 'Speed of the newest step: tokens of its batch, padding not counted.',
    });
    t.nullable.float('secondsLeft', {
      description: 'An estimate while it is running; an early stop ends it sooner.',
      resolve: ({ status, secondsLeft }) => (status === 'RUNNING' ? secondsLeft : null),
    });
    t.field('adapter', {
      type: nullable('Adapter'),
      description: 'What came out of it.',
      resolve: ({ adapterId }, _, { loaders }) => loadIf(loaders.adapter, adapterId),
    });
    t.nullable.string('reason', {
      description: 'Why it was rejected, skipped, failed or cancelled.',
    });
    t.field('queuedAt', { type: 'DateTime' });
    t.field('startedAt', { type: nullable('DateTime') });
    t.field('finishedAt', { type: nullable('DateTime') });
  },
});

/** Pages of runs. */
export const TrainingRunConnection = connectionOf('TrainingRun');

/** Statuses after which nothing is left to do. */
const IS_COMPLETE: { readonly [S in Status]: boolean } = {
  QUEUED: false,
  RUNNING: false,
  PUBLISHED: true,
  REJECTED: true,
  SKIPPED: true,
  FAILED: false,
  CANCELLED: false,
};

function progressOf({ status, step, totalSteps }: RunSource): number {
  if (IS_COMPLETE[status]) return 1;
  return totalSteps === 0 ? 0 : step / totalSteps;
}

/** Asks for a rebuild. */
export const retrainMutation = mutationField('retrain', {
  type: TrainingRun,
  description:
    "Queues a rebuild from scratch now, whatever the mode's trigger says; never SKIPPED for an unchanged dataset. Returns the waiting run if there is one.",
  args: { mode: nonNull(stringArg()) },
  resolve: (_, { mode }, { services, viewer }) =>
    retrain(services, viewer.id, services.catalog.mode(mode)),
});

/** Runs as they move. */
export const trainingRuns = subscriptionField('trainingRuns', {
  type: TrainingRun,
  description: "The viewer's runs, each time one is queued, moves on or ends.",
  args: { mode: stringArg() },
  subscribe: (_, { mode }, { services, viewer, signal }) =>
    cancellable(
      (ended) =>
        followRuns(services, viewer.id, mode ? services.catalog.mode(mode).key : null, ended),
      signal,
    ),
  resolve: (run) => run as RunSource,
});
