import { type Kysely, sql } from 'kysely';

/** What adapters were made from, and how fast runs are. */
export const lineage = {
  up: async (db: Kysely<unknown>): Promise<void> => {
    await sql
      .raw(`
        alter table runs
          add column learning_rate double precision,
          add column tokens_per_second double precision,
          add column seconds_left double precision;
        alter table adapters
          add column started_from_id uuid,
          add column lineage jsonb,
          add column on_policy_share double precision;
      `)
      .execute(db);
  },
};
