import { idArg, inputObjectType, mutationField, nonNull, objectType } from 'nexus';
import { loraWireBytes } from '../src/adapters/wire-file.ts';
import { withdrawAdapter as withdraw } from '../src/adapters/withdraw.ts';
import { findDevice } from '../src/changes/devices.ts';
import { AppError } from '../src/lib/errors.ts';
import { publishUpload } from '../src/runs/publish-upload.ts';
import { recipeOf } from '../src/training/core/recipe.ts';
import type { Context } from './context.ts';
import { ownId } from './node.ts';
import { inOwnName } from './own-name.ts';

/** An adapter on its way from a device. */
export const AdapterUpload = objectType({
  name: 'AdapterUpload',
  description: 'An adapter on its way from a device.',
  definition(t) {
    t.id('id');
    t.string('url', {
      resolve: ({ id }) => `/uploads/${id}`,
      description:
        'Relative to the server; needs the same token. PUT takes the bytes from receivedBytes on, with Content-Range; HEAD says in Upload-Offset how many there are.',
    });
    t.float('sizeBytes');
    t.float('receivedBytes', { description: 'Where to go on.' });
  },
});

/** What a device will upload. */
export const BeginAdapterUploadInput = inputObjectType({
  name: 'BeginAdapterUploadInput',
  description: 'What a device will upload: adapter_model.int8, the wire form of its tensors.',
  definition(t) {
    t.nonNull.id('deviceId');
    t.nonNull.string('mode');
    t.nonNull.int('sizeBytes');
    t.nonNull.string('sha256', { description: 'Of the whole file.' });
  },
});

/** What a device says of an adapter that it trained. */
export const PublishAdapterInput = inputObjectType({
  name: 'PublishAdapterInput',
  description: 'An uploaded adapter, and what its device measured.',
  definition(t) {
    t.nonNull.id('deviceId');
    t.nonNull.id('uploadId');
    t.nonNull.string('mode');
    t.nonNull.string('baseSha256');
    t.id('parentId', {
      description: 'The live adapter that the gate compared it with; null: none was live.',
    });
    t.nonNull.string('datasetSha256');
    t.int('dataThrough', {
      description:
        'Every change up to here was in the data; null where the records never leave the device.',
    });
    t.nonNull.int('steps');
    t.nonNull.int('examples', { description: 'How many it learnt from.' });
    t.nonNull.int('holdoutExamples');
    t.nonNull.float('loss', { description: 'Held out; mean nats per target token.' });
    t.nonNull.float('baseLoss');
    t.float('previousLoss');
  },
});

/** Makes room for an adapter. */
export const beginAdapterUpload = mutationField('beginAdapterUpload', {
  type: AdapterUpload,
  description: 'Begins an upload, or finds it where it stopped. Safe to repeat.',
  args: { input: nonNull(BeginAdapterUploadInput) },
  resolve: async (_, args, context) => {
    const { services, viewer } = context;
    const { mode, ...input } = inOwnName(context, args.input);
    await findDevice(services.db, viewer.id, input.deviceId);
    const { key } = trainedOnDevices(context, mode, input.sizeBytes);
    if (!/^[0-9a-f]{64}$/.test(input.sha256))
      throw new AppError('BAD_INPUT', 'sha256 must be 64 lower-case hex digits.');
    return services.uploads.begin(viewer.id, { ...input, mode: key });
  },
});

/** Throws BAD_INPUT unless devices train the mode, and its adapters have about that size. */
function trainedOnDevices({ services }: Context, key: string, sizeBytes: number) {
  const mode = services.catalog.mode(key);
  if (mode.trainsOn === 'server')
    throw new AppError('BAD_INPUT', `Devices do not train the mode ${mode.key}.`);
  const { config } = services.base;
  const { least, most } = loraWireBytes(config, recipeOf(mode, config).lora);
  if (sizeBytes >= least && sizeBytes <= most) return mode;
  const text = `An adapter of ${mode.key} has ${least} to ${most} bytes; sizeBytes is ${sizeBytes}.`;
  throw new AppError('BAD_INPUT', text);
}

/** Makes an uploaded adapter the live one. */
export const publishAdapter = mutationField('publishAdapter', {
  type: 'Adapter',
  description:
    'Checks an uploaded adapter and makes it the live one. Safe to repeat. CONFLICT when another adapter is live than parentId, or one that knows as much: train again.',
  args: { input: nonNull(PublishAdapterInput) },
  resolve: async (_, args, context) => {
    const { services, viewer } = context;
    const { deviceId, mode, parentId, ...input } = inOwnName(context, args.input);
    await findDevice(services.db, viewer.id, deviceId);
    return publishUpload(services, viewer.id, services.catalog.mode(mode), {
      ...input,
      parentId: parentId ? ownId('Adapter', parentId, 'parentId') : null,
      dataThrough: input.dataThrough ?? null,
      previousLoss: input.previousLoss ?? null,
    });
  },
});

/** Takes back what a device trained. */
export const withdrawAdapter = mutationField('withdrawAdapter', {
  type: 'Adapter',
  description:
    'Revokes an adapter that a device trained, since a record that it learnt from, which only that device has, is deleted. Safe to repeat.',
  args: { adapterId: nonNull(idArg()) },
  resolve: (_, { adapterId }, { services, viewer }) =>
    withdraw(services, viewer.id, ownId('Adapter', adapterId, 'adapterId')),
});
