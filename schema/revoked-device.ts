import { idArg, mutationField, nonNull, objectType, stringArg } from 'nexus';
import { checkDeviceText } from '../src/changes/devices.ts';
import { userBySubject } from '../src/changes/users.ts';
import { AppError } from '../src/lib/errors.ts';
import { shown } from '../src/lib/shown.ts';

/** A device that may no longer ask. */
export const RevokedDevice = objectType({
  name: 'RevokedDevice',
  description: 'A device that may no longer ask, and whose name no other may take.',
  definition(t) {
    t.id('deviceId');
    t.field('revokedAt', { type: 'DateTime' });
  },
});

const EFFECT =
  'its tokens (claim `device`) are FORBIDDEN (reason DEVICE_REVOKED, at which the SDK removes its copies), its WebSockets are closed with 4403. Safe to repeat.';

/** Turns a lost device away. */
export const revokeDeviceMutation = mutationField('revokeDevice', {
  type: RevokedDevice,
  description: `Turns one of the viewer's devices away for good: ${EFFECT}`,
  args: { deviceId: nonNull(idArg()) },
  resolve(_, { deviceId }, { services, viewer }) {
    checkDeviceText('deviceId', deviceId);
    return services.revokedDevices.revoke({ userId: viewer.id, deviceId });
  },
});

/** The same, by those who run the server. */
export const revokeUserDeviceMutation = mutationField('revokeUserDevice', {
  type: RevokedDevice,
  description: `Turns a device of any user away for good: ${EFFECT} Needs a token with the scope \`operator\`.`,
  args: {
    user: nonNull(stringArg({ description: "The `sub` of the user's tokens." })),
    deviceId: nonNull(idArg()),
  },
  async resolve(_, { user, deviceId }, { services }) {
    checkDeviceText('deviceId', deviceId);
    const found = await userBySubject(services.db, user);
    if (found === undefined) throw new AppError('NOT_FOUND', `There is no user ${shown(user)}.`);
    return services.revokedDevices.revoke({ userId: found.id, deviceId });
  },
});
