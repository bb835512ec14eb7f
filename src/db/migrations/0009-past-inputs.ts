import { type Kysely, sql } from 'kysely';

/** What a record made before it was written over is remembered, so that its delete finds the answers to that. A push that
 *  writes over a record says so, and is applied only when told that this was seen to. */
export const pastInputs = {
  up: async (db: Kysely<unknown>): Promise<void> => {
    await sql.raw(`${TABLE} drop function accept_push; ${ACCEPT_PUSH}`).execute(db);
  },
};

const TABLE = `
  create table past_inputs (
    user_id uuid not null references users,
    source text not null,
    record_id text not null,
    mode text not null,
    input_sha256 text not null,
    primary key (user_id, source, record_id, mode, input_sha256)
  );
`;

/** Takes a push whole or not at all; see acceptPush in changes/accept-push.ts. Whoever waits longer than this for the user's
 *  row gives up: what was sealed before must be written before its key is replaced (operations/rotate-keys.ts). */
const ACCEPT_PUSH = `
  create function accept_push(
    p_user_id uuid, p_device_id text, p_now timestamptz,
    p_first_mutation_id integer, p_change_count integer, p_applied_count integer, p_results bytea,
    p_sources text[], p_record_ids text[], p_data bytea[], p_occurred_at timestamptz[], p_places integer[],
    p_modes text[], p_trace text, p_may_replace boolean,
    out is_applied boolean, out replaces boolean, out first_change_seq integer, out newest_mutation_id integer,
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
    replaces := false;
    owed_count := 0;
    if not is_applied then return; end if;
    if not p_may_replace then
      -- the limit keeps a planner without statistics at the index: one look for each record, whatever else the user has
      replaces := exists (
        select from unnest(p_sources, p_record_ids) as named (source, record_id), lateral (
          select from records where user_id = p_user_id and source = named.source
            and record_id = named.record_id and not deleted limit 1) as live);
      is_applied := not replaces;
      if replaces then return; end if;
    end if;
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
