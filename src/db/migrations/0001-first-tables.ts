import { type Kysely, sql } from 'kysely';

/** The tables of schema.ts, with an index for every way they are read. */
export const firstTables = {
  up: async (db: Kysely<unknown>): Promise<void> => {
    for (const tables of [PEOPLE, LEARNING, RUNS, ADAPTERS, ANSWERS]) {
      await sql.raw(tables).execute(db);
    }
  },
};

const PEOPLE = `
  create table facts (
    key text primary key,
    value text not null
  );

  create table users (
    id uuid primary key default gen_random_uuid(),
    subject text not null unique,
    change_seq integer not null default 0,
    feed_seq integer not null default 0,
    feed_epoch text not null,
    created_at timestamptz not null
  );

  create table devices (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references users,
    device_id text not null,
    name text not null,
    platform text not null,
    last_mutation_id integer not null default 0,
    last_seen_at timestamptz not null,
    unique (user_id, device_id)
  );

  create table mutations (
    device_row_id uuid not null references devices,
    mutation_id integer not null,
    payload_sha256 text not null,
    outcome text not null check (outcome in ('APPLIED', 'REJECTED')),
    reason text,
    change_seq integer,
    primary key (device_row_id, mutation_id)
  );

  create table records (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references users,
    source text not null,
    record_id text not null,
    data jsonb,
    deleted boolean not null,
    change_seq integer not null,
    occurred_at timestamptz not null,
    unique (user_id, source, record_id),
    check (deleted = (data is null))
  );
  create index records_by_change on records (user_id, change_seq);
  create index records_by_source on records (user_id, source, change_seq);
  create index records_by_email on records (user_id, source, md5(lower((data->>'email') collate "C"))) where not deleted;
`;

const LEARNING = `
  create table examples (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references users,
    mode text not null,
    source text not null,
    record_id text not null,
    ordinal integer not null,
    split text not null check (split in ('train', 'validation', 'holdout')),
    messages jsonb,
    target text,
    sha256 text not null,
    input_sha256 text not null,
    from_seq integer not null,
    until_seq integer
  );
  create index examples_alive on examples (user_id, mode, source, record_id) where until_seq is null;
  create index examples_by_seq on examples (user_id, mode, from_seq);
  create index examples_by_record on examples (user_id, source, record_id);

  create table example_records (
    example_id uuid not null references examples on delete cascade,
    user_id uuid not null references users,
    source text not null,
    record_id text not null,
    primary key (example_id, source, record_id)
  );
  create index example_records_by_record on example_records (user_id, source, record_id);

  create table example_lookups (
    example_id uuid not null references examples on delete cascade,
    user_id uuid not null references users,
    source text not null,
    key text not null,
    primary key (example_id, source, key)
  );
  create index example_lookups_by_key on example_lookups (user_id, source, key);

  create table datasets (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references users,
    mode text not null,
    sha256 text not null,
    example_count integer not null,
    preference_count integer not null,
    change_seq integer not null,
    created_at timestamptz not null,
    unique (user_id, mode, change_seq)
  );

  create table mode_states (
    user_id uuid not null references users,
    mode text not null,
    folded_through integer not null default 0,
    shape_sha256 text,
    version integer not null default 0,
    primary key (user_id, mode)
  );
`;

const RUNS = `
  create table runs (
    id uuid primary key default gen_random_uuid(),
    seq bigint not null generated always as identity,
    user_id uuid not null references users,
    mode text not null,
    status text not null check (status in
      ('QUEUED', 'RUNNING', 'PUBLISHED', 'REJECTED', 'SKIPPED', 'FAILED', 'CANCELLED')),
    forced boolean not null,
    enqueued_at timestamptz,
    attempt integer not null default 0,
    step integer not null default 0,
    total_steps integer not null default 0,
    losses jsonb not null,
    reason text,
    dataset_id uuid,
    adapter_id uuid,
    queued_at timestamptz not null,
    started_at timestamptz,
    finished_at timestamptz
  );
  create unique index runs_one_waiting on runs (user_id, mode) where status = 'QUEUED';
  create index runs_owed on runs (seq) where status = 'QUEUED' and enqueued_at is null;
  create index runs_running on runs (user_id, mode) where status = 'RUNNING';
  create index runs_by_end on runs (finished_at) where finished_at is not null;
  create index runs_by_user on runs (user_id, seq);
  create index runs_by_mode on runs (user_id, mode, seq);
`;

// A null user (shipped adapters) is distinct from itself in a unique index, hence the second ones.
const ADAPTERS = `
  create table adapters (
    id uuid primary key default gen_random_uuid(),
    seq bigint not null generated always as identity,
    user_id uuid references users,
    mode text not null,
    version integer not null,
    status text not null check (status in ('LIVE', 'REJECTED', 'SUPERSEDED', 'REVOKED')),
    origin text not null check (origin in ('SERVER', 'DEVICE', 'SHIPPED', 'ROLLBACK')),
    base_sha256 text not null,
    parent_id uuid,
    dataset_id uuid,
    run_id uuid,
    rank integer not null,
    sha256 text not null,
    files jsonb not null,
    evaluation jsonb,
    data_through integer,
    created_at timestamptz not null,
    check ((version = 0) = (status = 'REJECTED'))
  );
  create unique index adapters_version on adapters (user_id, mode, version) where version > 0;
  create unique index adapters_one_live on adapters (user_id, mode) where status = 'LIVE';
  create unique index adapters_shipped_version on adapters (mode, version) where user_id is null;
  create unique index adapters_one_shipped_live on adapters (mode) where status = 'LIVE' and user_id is null;
  create index adapters_by_mode on adapters (user_id, mode, seq);
  create index adapters_by_bytes on adapters (sha256, user_id);
  create index adapters_by_dataset on adapters (user_id, dataset_id);

  create table feed_events (
    user_id uuid not null references users,
    seq integer not null,
    kind text not null check (kind in ('READY', 'REVOKED')),
    mode text not null,
    adapter_id uuid not null references adapters,
    reason text,
    created_at timestamptz not null,
    primary key (user_id, seq)
  );
  create index feed_events_by_adapter on feed_events (user_id, adapter_id);

  create table held_adapters (
    device_row_id uuid not null references devices,
    user_id uuid not null references users,
    mode text not null,
    adapter_id uuid not null references adapters,
    since timestamptz not null,
    primary key (device_row_id, mode)
  );
  create index held_adapters_by_adapter on held_adapters (user_id, adapter_id);
`;

const ANSWERS = `
  create table completions (
    id uuid primary key default gen_random_uuid(),
    seq bigint not null generated always as identity,
    user_id uuid not null references users,
    mode text not null,
    client_id text,
    input jsonb,
    context jsonb,
    input_sha256 text not null,
    text text not null,
    adapter_id uuid,
    data_through integer,
    prompt_tokens integer not null,
    completion_tokens integer not null,
    finish_reason text not null check (finish_reason in ('STOP', 'LENGTH', 'CANCELLED')),
    verdict text check (verdict in ('UP', 'DOWN')),
    better text,
    preferred_id uuid,
    rated_at timestamptz,
    created_at timestamptz not null,
    unique (user_id, client_id)
  );
  create index completions_by_user on completions (user_id, seq);
  create index completions_by_mode on completions (user_id, mode, seq);
  create index completions_by_input on completions (user_id, mode, input_sha256);

  create table completion_records (
    completion_id uuid not null references completions on delete cascade,
    user_id uuid not null references users,
    source text not null,
    record_id text not null,
    primary key (completion_id, source, record_id)
  );
  create index completion_records_by_record on completion_records (user_id, source, record_id);

  create table preferences (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references users,
    mode text not null,
    completion_id uuid not null,
    adapter_id uuid,
    input jsonb,
    context jsonb,
    input_sha256 text not null,
    chosen text,
    rejected text,
    sha256 text not null,
    change_seq integer not null,
    until_seq integer,
    created_at timestamptz not null
  );
  create index preferences_by_change on preferences (user_id, mode, change_seq);
  create index preferences_by_input on preferences (user_id, mode, input_sha256);
  create index preferences_by_completion on preferences (user_id, completion_id);
`;
