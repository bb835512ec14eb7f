import type { Tx } from '../db/database.ts';
import type { DeviceRow } from '../db/schema.ts';
import type { PreparedChange } from './change.ts';

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
  now: Date,
): Promise<void> {
  await tx
    .insertInto('mutations')
    .values(changes.map((change) => answerRow(device, change)))
    .execute();
  // of several changes to one record the last one wins, and an upsert may touch a row only once
  const newest = new Map<string, ReturnType<typeof recordRow>>();
  for (const change of changes) {
    const { source, recordId, changeSeq } = change;
    if (changeSeq !== null) {
      newest.set(JSON.stringify([source, recordId]), recordRow(device, change, changeSeq));
    }
  }
  await writeRecords(tx, [...newest.values()]);
  const lastMutationId = device.lastMutationId + changes.length;
  await tx
    .updateTable('devices')
    .set({ lastMutationId, lastSeenAt: now })
    .where('id', '=', device.id)
    .execute();
}

function answerRow(device: DeviceRow, change: NumberedChange) {
  const { mutationId, payloadSha256, reason, changeSeq } = change;
  const outcome = changeSeq === null ? ('REJECTED' as const) : ('APPLIED' as const);
  return { deviceRowId: device.id, mutationId, payloadSha256, outcome, reason, changeSeq };
}

function recordRow(device: DeviceRow, change: NumberedChange, changeSeq: number) {
  const { source, recordId, data, occurredAt } = change;
  return {
    userId: device.userId,
    source,
    recordId,
    data: data === null ? null : JSON.stringify(data),
    deleted: data === null,
    changeSeq,
    occurredAt,
  };
}

async function writeRecords(tx: Tx, rows: readonly ReturnType<typeof recordRow>[]): Promise<void> {
  if (rows.length === 0) return;
  await tx
    .insertInto('records')
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(['userId', 'source', 'recordId']).doUpdateSet(({ ref }) => ({
        data: ref('excluded.data'),
        deleted: ref('excluded.deleted'),
        changeSeq: ref('excluded.changeSeq'),
        occurredAt: ref('excluded.occurredAt'),
      })),
    )
    .execute();
}
