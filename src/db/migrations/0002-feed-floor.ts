import { type Kysely, sql } from 'kysely';

/** Feeds may be trimmed: how far each was. */
export const feedFloor = {
  up: async (db: Kysely<unknown>): Promise<void> => {
    await sql`alter table users add column feed_floor integer not null default 0`.execute(db);
  },
};
