import { type Kysely, sql } from 'kysely';

/** Which trace a run and a feed event belong to. */
export const trace = {
  up: async (db: Kysely<unknown>): Promise<void> => {
    await sql
      .raw(`
        alter table runs add column trace text;
        alter table feed_events add column trace text;
      `)
      .execute(db);
  },
};
