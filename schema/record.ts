import { objectType } from 'nexus';
import { connectionOf } from './connection.ts';
import { globalId } from './node.ts';

/** A data item of the user. */
export const Record = objectType({
  name: 'Record',
  description:
    "The newest state of one of the user's data items: the change with the highest changeSeq (arrival order) wins; occurredAt is informational.",
  definition(t) {
    t.implements('Node');
    t.id('id', { resolve: globalId('Record') });
    t.string('source');
    t.string('recordId');
    t.field('data', { type: 'JSON' });
    t.int('changeSeq');
    t.field('occurredAt', { type: 'DateTime' });
  },
});

/** Pages of records. */
export const RecordConnection = connectionOf('Record');
