import { type Kysely, sql } from 'kysely';
import type { UserKeys } from '../../sealing/user-keys.ts';
import { keysOf, mapSealed, sealRow } from '../sealed-columns.ts';

/** The answers to a push become one row instead of one for each change, and taking a push one call instead of nine. */
export const pushes = {
  up: async (tx: Kysely<unknown>): Promise<void> => {
    await sql.raw(TABLE).execute(tx);
    const { rows: devices } = await sql<Device>`
      select id, user_id as "userId", device_id as "deviceId" from devices order by id`.execute(tx);
    for (const device of devices) await moveAnswers(tx, device);
    await sql.raw(`drop table mutations; ${QUEUE_RUNS} ${ACCEPT_PUSH}`).execute(tx);
  },
};

// What is sealed does not get smaller by being packed.
const TABLE = `
  create table pushes (
    user_id uuid not null references users,
    device_id text not null,
    first_mutation_id integer not null,
    change_count integer not null,
    first_change_seq integer not null,
    results bytea not null,
    primary key (user_id, device_id, first_mutation_id),
    foreign key (user_id, device_id) references devices (user_id, device_id)
  );
  alter table pushes alter column results set storage external;
`;

/** Asks for a run of each mode, and returns how many of them the relay now owes to the queue; see queueRuns in
 *  changes/queue-run.ts. */
const QUEUE_RUNS = `
  create function queue_runs(
    p_user_id uuid, p_modes text[], p_forced boolean, p_now timestamptz, p_trace text
  ) returns integer language plpgsql as $$
  declare
    owed_count integer;
  begin
    if p_forced then
      insert into runs (user_id, mode, status, forced, losses, queued_at, trace)
        select p_user_id, mode, 'QUEUED', true, '[]', p_now, p_trace from unnest(p_modes) as mode
        on conflict (user_id, mode) where status = 'QUEUED'
        do update set forced = true, enqueued_at = null;
    else
      insert into runs (user_id, mode, status, forced, losses, queued_at, trace)
        select p_user_id, mode, 'QUEUED', false, '[]', p_now, p_trace from unnest(p_modes) as mode
        on conflict (user_id, mode) where status = 'QUEUED' do nothing;
    end if;
    get diagnostics owed_count = row_count;
    return owed_count;
  end $$;
`;

/** Takes a push whole or not at all; see acceptPush in changes/accept-push.ts. Whoever waits longer than this for the user's
 *  row gives up: what was sealed before must be written before its key is replaced (operations/rotate-keys.ts). */
const ACCEPT_PUSH = `
  create function accept_push(
    p_user_id uuid, p_device_id text, p_now timestamptz,
    p_first_mutation_id integer, p_change_count integer, p_applied_count integer, p_results bytea,
    p_sources text[], p_record_ids text[], p_data bytea[], p_occurred_at timestamptz[], p_places integer[],
    p_modes text[], p_trace text,
    out is_applied boolean, out first_change_seq integer, out newest_mutation_id integer,
    out owed_count integer
  ) language plpgsql set lock_timeout = '10s' as $$
  #variable_conflict use_column
  begin
    perform from users where id = p_user_id and erased_at is null for update;
    if not found then return; end if;
    -- read after the lock, so that two pushes of one device see each other's last_mutation_id
    select last_mutation_id into newest_mutation_id from devices
      where user_id = p_user_id and device_id = p_device_id and not exists (
        select from revoked_devices where user_id = p_user_id and device_id = p_device_id);
    if not found then return; end if;

    is_applied := p_change_count = 0 or p_first_mutation_id = newest_mutation_id + 1;
    owed_count := 0;
    if not is_applied then return; end if;
    newest_mutation_id := newest_mutation_id + p_change_count;
    update devices set last_mutation_id = newest_mutation_id, last_seen_at = p_now
      where user_id = p_user_id and device_id = p_device_id;
    if p_change_count = 0 then return; end if;

    update users set change_seq = change_seq + p_applied_count where id = p_user_id
      returning change_seq - p_applied_count + 1 into first_change_seq;
    insert into pushes (user_id, device_id, first_mutation_id, change_count, first_change_seq, results)
      values (p_user_id, p_device_id, p_first_mutation_id, p_change_count, first_change_seq, p_results);
    insert into records (user_id, source, record_id, data, deleted, change_seq, occurred_at)
      select p_user_id, source, record_id, data, data is null, first_change_seq + place, occurred_at
      from unnest(p_sources, p_record_ids, p_data, p_occurred_at, p_places)
        as record (source, record_id, data, occurred_at, place)
      on conflict (user_id, source, record_id) do update set data = excluded.data,
        deleted = excluded.deleted, change_seq = excluded.change_seq, occurred_at = excluded.occurred_at;
    if cardinality(p_modes) > 0 then
      owed_count := queue_runs(p_user_id, p_modes, false, p_now, p_trace);
    end if;
  end $$;
`;

interface Device {
  readonly id: string;
  readonly userId: string;
  readonly deviceId: string;
}

/** An answer as there was one for each change. */
interface Answer {
  readonly deviceRowId: string;
  readonly mutationId: number;
  /** Keyed, where it is a plain one now that it lies sealed. */
  readonly payloadSha256: string;
  readonly reason: string | null;
  readonly changeSeq: number | null;
}

/** As many answers as a push has at most. */
const BATCH = 1_000;

async function moveAnswers(tx: Kysely<unknown>, device: Device): Promise<void> {
  const keys = await keysOf(tx, device.userId);
  for (let after = 0, isDone = false; !isDone; ) {
    const { rows } = await sql<Answer>`
      select device_row_id as "deviceRowId", mutation_id as "mutationId", payload_sha256 as "payloadSha256", reason,
        change_seq as "changeSeq" from mutations
      where device_row_id = ${device.id} and mutation_id > ${after} order by mutation_id limit ${BATCH}`.execute(
      tx,
    );
    const answers = rows.map((row) => openAnswer(keys, row));
    for (const one of inOnePiece(answers)) await writePush(tx, keys, device, one);
    isDone = rows.length < BATCH;
    after = rows.at(-1)?.mutationId ?? after;
  }
}

function openAnswer(keys: UserKeys, row: Answer): Answer {
  const names = { columns: ['reason'], rowName: ['deviceRowId', 'mutationId'] };
  const open = (place: string, sealed: unknown) => keys.open(place, sealed as Uint8Array);
  return mapSealed('mutations', names, row, open) as Answer;
}

/** Cut where the changes of others came between: a push has one place in the user's order. */
function inOnePiece(answers: readonly Answer[]): Answer[][] {
  const pieces: Answer[][] = [];
  let next: number | null = null;
  for (const answer of answers) {
    const { changeSeq } = answer;
    const goesOn = changeSeq === null || next === null || changeSeq === next;
    const piece = pieces.at(-1);
    if (piece !== undefined && goesOn) piece.push(answer);
    else pieces.push([answer]);
    if (changeSeq !== null) next = changeSeq + 1;
  }
  return pieces;
}

async function writePush(
  tx: Kysely<unknown>,
  keys: UserKeys,
  { userId, deviceId }: Device,
  answers: readonly Answer[],
): Promise<void> {
  const hashes = Buffer.from(answers.map(({ payloadSha256 }) => payloadSha256).join(''), 'hex');
  const reasons = answers.flatMap(({ reason }, place) =>
    reason === null ? [] : [[place, reason]],
  );
  const results = { hashes: hashes.toString('base64'), reasons: Object.fromEntries(reasons) };
  const firstMutationId = answers[0]?.mutationId ?? 0;
  const firstSeq = answers.find(({ changeSeq }) => changeSeq !== null)?.changeSeq ?? 0;
  const row = sealRow(keys, 'pushes', { userId, deviceId, firstMutationId, results });
  await sql`insert into pushes values (${userId}, ${deviceId}, ${firstMutationId}, ${answers.length}, ${firstSeq}, ${row.results})`.execute(
    tx,
  );
}
