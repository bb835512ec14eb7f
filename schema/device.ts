import { enumType, inputObjectType, mutationField, nonNull, objectType } from 'nexus';
import { registerDevice } from '../src/changes/devices.ts';
import { must } from '../src/lib/errors.ts';
import { acknowledgeAdapter } from '../src/sync/acknowledge.ts';
import { globalId, ownId } from './node.ts';
import { inOwnName } from './own-name.ts';

/** An adapter on a device. */
export const HeldAdapter = objectType({
  name: 'HeldAdapter',
  description: 'An adapter that a device has installed.',
  definition(t) {
    t.field('mode', {
      type: 'Mode',
      resolve: ({ mode }, _, { services }) => services.catalog.mode(mode),
    });
    t.field('adapter', {
      type: 'Adapter',
      resolve: async ({ adapterId }, _, { loaders }) =>
        must(await loaders.adapter.load(adapterId), `the held adapter ${adapterId} exists`),
    });
    t.field('since', { type: 'DateTime' });
  },
});

/** An installation of a client. */
export const Device = objectType({
  name: 'Device',
  description: 'An installation of a client.',
  definition(t) {
    t.implements('Node');
    t.id('id', { resolve: globalId('Device') });
    t.id('deviceId', { description: "The device's own name, unique within a user." });
    t.string('name');
    t.string('platform');
    t.field('lastSeenAt', { type: 'DateTime' });
    t.int('lastMutationId', { description: 'The highest mutationId applied from this device.' });
    t.list.field('held', {
      type: HeldAdapter,
      description: 'What the device last acknowledged as installed: at most one adapter per mode.',
      resolve: ({ id }, _, { loaders }) => loaders.held.load(id),
    });
  },
});

/** What a device says of itself. */
export const RegisterDeviceInput = inputObjectType({
  name: 'RegisterDeviceInput',
  description: 'What a device says of itself.',
  definition(t) {
    t.nonNull.id('deviceId', {
      description:
        'Chosen by the device. After registering, number changes from lastMutationId + 1.',
    });
    t.nonNull.string('name');
    t.nonNull.string('platform');
  },
});

/** Makes a device known. */
export const registerDeviceMutation = mutationField('registerDevice', {
  type: Device,
  description: 'Makes a device known, or renames one that is.',
  args: { input: nonNull(RegisterDeviceInput) },
  resolve: (_, { input }, context) =>
    registerDevice(context.services, context.viewer.id, inOwnName(context, input)),
});

/** What became of an adapter on a device. */
export const HeldState = enumType({
  name: 'HeldState',
  description: 'What became of an adapter on a device.',
  members: ['INSTALLED', 'REMOVED', 'FAILED'],
});

/** A device's word on an adapter. */
export const AcknowledgeAdapterInput = inputObjectType({
  name: 'AcknowledgeAdapterInput',
  description: "A device's word on an adapter.",
  definition(t) {
    t.nonNull.id('deviceId');
    t.nonNull.id('adapterId');
    t.nonNull.field('state', { type: HeldState });
    t.string('detail', { description: 'What went wrong, when it FAILED.' });
  },
});

/** Records what a device holds. */
export const acknowledgeAdapterMutation = mutationField('acknowledgeAdapter', {
  type: Device,
  description: 'Records that a device installed, removed or failed to install an adapter.',
  args: { input: nonNull(AcknowledgeAdapterInput) },
  resolve: (_, { input }, context) =>
    acknowledgeAdapter(context.services, context.viewer.id, {
      ...inOwnName(context, input),
      adapterId: ownId('Adapter', input.adapterId, 'adapterId'),
    }),
});
