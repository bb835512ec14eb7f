import { type Kysely, sql } from 'kysely';

/** The devices whose tokens are no longer taken, in the order in which servers hear of them. */
export const revokedDevices = {
  up: async (db: Kysely<unknown>): Promise<void> => {
    await sql.raw(TABLE).execute(db);
  },
};

const TABLE = `
  create table revoked_devices (
    seq bigint primary key generated always as identity,
    user_id uuid not null references users on delete cascade,
    device_id text not null,
    revoked_at timestamptz not null,
    unique (user_id, device_id)
  )
`;
