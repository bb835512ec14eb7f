// The inputs that states of a record made which have been written over since. Answers to them are made of the record as
// well: its delete takes them. Hashes only, no texts.

import { sql } from 'kysely';
import type { LiveRecord } from '../changes/core/find-records.ts';
import type { RecordRef } from '../changes/core/record-ref.ts';
import { isOneOf } from '../changes/record-ref.ts';
import type { Tx } from '../db/database.ts';
import { keysOf } from '../db/sealed-columns.ts';
import { columnOf } from '../db/sql-array.ts';
import type { ModeCatalog } from '../modes/mode.ts';
import { inputKey } from '../modes/prompt.ts';
import { inputsOf } from './core/example.ts';

/** A mode's input by the keyed hash of its `inputKey`. */
export interface InputRef {
  readonly mode: string;
  readonly inputSha256: string;
}

/** An input and the record that made it. */
export interface MadeInput extends InputRef, RecordRef {}

/** The inputs that the records make, in every mode. */
export async function inputsMadeOf(
  { modes }: Pick<ModeCatalog, 'modes'>,
  tx: Tx,
  userId: string,
  records: readonly LiveRecord[],
): Promise<readonly MadeInput[]> {
  const keys = await keysOf(tx, userId);
  return records.flatMap((record) =>
    modes.flatMap((mode) =>
      inputsOf(mode, record).map((input) => ({
        ...{ source: record.source, recordId: record.recordId, mode: mode.key },
        inputSha256: keys.tag(inputKey(input)),
      })),
    ),
  );
}

/** Notes the inputs of states that are being written over. */
export async function noteStates(
  catalog: ModeCatalog,
  tx: Tx,
  userId: string,
  states: readonly LiveRecord[],
): Promise<void> {
  await noteInputs(tx, userId, await inputsMadeOf(catalog, tx, userId, states));
}

/** Notes inputs that their records may not make any more. */
export async function noteInputs(
  tx: Tx,
  userId: string,
  inputs: readonly MadeInput[],
): Promise<void> {
  if (inputs.length === 0) return;
  await sql`insert into past_inputs (user_id, source, record_id, mode, input_sha256)
    select ${userId}::uuid, * from unnest(${columnOf(inputs, 'source', 'text')}, ${columnOf(inputs, 'recordId', 'text')},
      ${columnOf(inputs, 'mode', 'text')}, ${columnOf(inputs, 'inputSha256', 'text')})
    on conflict do nothing`.execute(tx);
}

/** Takes out what was noted of the records. */
export function takePastInputs(
  tx: Tx,
  userId: string,
  refs: readonly RecordRef[],
): Promise<readonly InputRef[]> {
  return tx
    .deleteFrom('pastInputs')
    .where('userId', '=', userId)
    .where(isOneOf(refs))
    .returning(['mode', 'inputSha256'])
    .execute();
}
