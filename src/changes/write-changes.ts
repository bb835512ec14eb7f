import type { Tx } from '../db/database.ts';
import { insertColumns } from '../db/insert-columns.ts';
import type { DeviceRow } from '../db/schema.ts';
import { keysOf, sealRow } from '../db/sealed-columns.ts';
import type { UserKeys } from '../sealing/user-keys.ts';
import type { PreparedChange, SourceCatalog } from './change.ts';
import { keyOf } from './core/find-records.ts';
import { isOneOf } from './record-ref.ts';

/** A change with its place in the user's order; null: rejected. */
export interface NumberedChange extends PreparedChange {
  readonly changeSeq: number | null;
}

/** Writes the answers, the newest state of each record and the device's position, with a statement each however many
 *  changes there are. */
export async function writeChanges(
  tx: Tx,
  device: DeviceRow,
  changes: readonly NumberedChange[],
  { now, lookupFields }: { now: Date } & Pick<SourceCatalog, 'lookupFields'>,
): Promise<void> {
  const keys = await keysOf(tx, device.userId);
  const answers = changes.map((change) => answerRow(keys, device, change));
  await insertAnswers(tx, answers);
  // of several changes to one record the last one wins, and an upsert may touch a row only once
  const newest = new Map<string, RecordState>();
  for (const change of changes) {
    const { source, recordId, changeSeq } = change;
    if (changeSeq !== null) {
      newest.set(JSON.stringify([source, recordId]), recordState(device, change, changeSeq));
    }
  }
  await writeRecords(tx, keys, [...newest.values()]);
  await writeLookups(tx, keys, { states: [...newest.values()], lookupFields });
  const lastMutationId = device.lastMutationId + changes.length;
  await tx
    .updateTable('devices')
    .set({ lastMutationId, lastSeenAt: now })
    .where('id', '=', device.id)
    .execute();
}

function answerRow(keys: UserKeys, device: DeviceRow, change: NumberedChange) {
  const { mutationId, payloadSha256, reason, changeSeq } = change;
  const outcome = changeSeq === null ? ('REJECTED' as const) : ('APPLIED' as const);
  const row = { deviceRowId: device.id, mutationId, outcome, reason, changeSeq };
  return { ...sealRow(keys, 'mutations', row), payloadSha256: keys.tag(payloadSha256) };
}

type RecordState = ReturnType<typeof recordState>;

function recordState(device: DeviceRow, change: NumberedChange, changeSeq: number) {
  const { source, recordId, data, occurredAt } = change;
  const deleted = data === null;
  return { userId: device.userId, source, recordId, data, deleted, changeSeq, occurredAt };
}

async function insertAnswers(tx: Tx, rows: readonly ReturnType<typeof answerRow>[]): Promise<void> {
  await insertColumns('mutations', [
    { name: 'device_row_id', type: 'uuid', values: rows.map((row) => row.deviceRowId) },
    { name: 'mutation_id', type: 'bigint', values: rows.map((row) => row.mutationId) },
    { name: 'outcome', type: 'text', values: rows.map((row) => row.outcome) },
    { name: 'reason', type: 'bytea', values: rows.map((row) => row.reason) },
    { name: 'change_seq', type: 'bigint', values: rows.map((row) => row.changeSeq) },
    { name: 'payload_sha256', type: 'text', values: rows.map((row) => row.payloadSha256) },
  ]).execute(tx);
}

async function writeRecords(tx: Tx, keys: UserKeys, states: readonly RecordState[]): Promise<void> {
  if (states.length === 0) return;
  const rows = states.map((state) => sealRow(keys, 'records', state));
  await insertColumns(
    'records',
    [
      { name: 'user_id', type: 'uuid', values: rows.map((row) => row.userId) },
      { name: 'source', type: 'text', values: rows.map((row) => row.source) },
      { name: 'record_id', type: 'text', values: rows.map((row) => row.recordId) },
      { name: 'data', type: 'bytea', values: rows.map((row) => row.data) },
      { name: 'deleted', type: 'boolean', values: rows.map((row) => row.deleted) },
      { name: 'change_seq', type: 'bigint', values: rows.map((row) => row.changeSeq) },
      { name: 'occurred_at', type: 'timestamptz', values: rows.map((row) => row.occurredAt) },
    ],
    `on conflict (user_id, source, record_id) do update set data = excluded.data,
      deleted = excluded.deleted, change_seq = excluded.change_seq, occurred_at = excluded.occurred_at`,
  ).execute(tx);
}

/** Keeps by what the records are found, where some mode looks for records of their source. */
export async function writeLookups(
  tx: Tx,
  keys: UserKeys,
  {
    states,
    lookupFields,
  }: {
    states: readonly Pick<RecordState, 'userId' | 'source' | 'recordId' | 'data'>[];
  } & Pick<SourceCatalog, 'lookupFields'>,
): Promise<void> {
  const sought = states.filter(({ source }) => lookupFields(source).length > 0);
  const [first] = sought;
  if (first === undefined) return;
  await tx
    .deleteFrom('recordLookups')
    .where('userId', '=', first.userId)
    .where(isOneOf(sought))
    .execute();
  const rows = sought.flatMap(({ userId, source, recordId, data }) =>
    lookupFields(source).flatMap((field) => {
      const key = data === null ? '' : keyOf({ data }, field);
      return key === '' ? [] : [{ userId, source, recordId, field, key: keys.tag(key) }];
    }),
  );
  if (rows.length === 0) return;
  await insertColumns('record_lookups', [
    { name: 'user_id', type: 'uuid', values: rows.map((row) => row.userId) },
    { name: 'source', type: 'text', values: rows.map((row) => row.source) },
    { name: 'record_id', type: 'text', values: rows.map((row) => row.recordId) },
    { name: 'field', type: 'text', values: rows.map((row) => row.field) },
    { name: 'key', type: 'text', values: rows.map((row) => row.key) },
  ]).execute(tx);
}
