import { nonNull, nullable, objectType, queryField, stringArg } from 'nexus';
import { listDevices } from '../src/changes/devices.ts';
import { pageRecords } from '../src/changes/records.ts';
import { listRevokedDevices } from '../src/changes/revoked-devices.ts';
import { pageCompletions } from '../src/feedback/completions.ts';
import { AppError } from '../src/lib/errors.ts';
import { shown } from '../src/lib/shown.ts';
import type { ModeCatalog } from '../src/modes/mode.ts';
import { pageArgs } from './connection.ts';
import { globalId } from './node.ts';

/** The signed-in user and all that is theirs. */
export const User = objectType({
  name: 'User',
  description: "The signed-in user. Every field below it is that user's own data.",
  definition(t) {
    t.implements('Node');
    t.id('id', { resolve: globalId('User') });
    t.list.field('modes', {
      type: 'Mode',
      description: "Every configured mode, with this user's state in it.",
      resolve: (_, __, { services }) => services.catalog.modes,
    });
    t.field('mode', {
      type: nullable('Mode'),
      description: 'One mode by its key.',
      args: { key: nonNull(stringArg()) },
      resolve: (_, { key }, { services }) => services.catalog.mode(key),
    });
    t.list.field('devices', {
      type: 'Device',
      description: 'Every registered device, by its name.',
      resolve: (user, _, { services }) => listDevices(services.db, user.id),
    });
    t.list.field('revokedDevices', {
      type: 'RevokedDevice',
      description: 'Every device that was turned away, by its name.',
      resolve: (user, _, { services }) => listRevokedDevices(services.db, user.id),
    });
    t.field('records', {
      type: 'RecordConnection',
      description: 'The newest state of every record, in the order of their last changes.',
      args: { source: stringArg(), ...pageArgs },
      resolve: (user, { source, ...page }, { services }) =>
        pageRecords(services.db, user.id, { source: knownSource(services.catalog, source) }, page),
    });
    t.field('completions', {
      type: 'CompletionConnection',
      description: 'Every stored completion, the newest first.',
      args: { mode: stringArg(), ...pageArgs },
      resolve: (user, { mode, ...page }, { services }) =>
        pageCompletions(
          services.db,
          user.id,
          (mode ? [services.catalog.mode(mode)] : services.catalog.modes).map(({ key }) => key),
          page,
        ),
    });
  },
});

function knownSource(catalog: ModeCatalog, source: string | null | undefined) {
  if (source === null || source === undefined || catalog.sources.includes(source)) return source;
  const known = catalog.sources.join(', ');
  throw new AppError('NOT_FOUND', `no source ${shown(source)}; known sources: ${known}`);
}

/** Where every query starts. */
export const viewerQuery = queryField('viewer', {
  type: 'User',
  description: "The signed-in user. Every field below it is that user's own data.",
  resolve: (_, __, { viewer }) => viewer,
});
