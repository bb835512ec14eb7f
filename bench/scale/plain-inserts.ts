// The rows that a push leaves behind, put there by plain INSERTs: what the API is measured against.

import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { must } from '../../src/lib/errors.ts';
import { KEY_BYTES } from '../../src/sealing/seal.ts';
import { userKeys } from '../../src/sealing/user-keys.ts';
import { BATCH, changesOf, mail, type Side, USERS } from './ingest-side.ts';

/** Inserts the same rows, sealed before, into tables like ours, with their indexes and foreign keys: a statement a batch. */
export async function insertSide(databaseUrl: string): Promise<Side> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: USERS });
  await pool.query(PLAIN_TABLES);
  const { rows: users } = await pool.query<{ id: string }>('select id from users order by subject');
  return {
    prepare: (user, batch) => {
      const { id } = must(users[user], 'the users are registered');
      const values = [...pushOf(id, batch), ...recordsOf(id, batch)];
      return () => pool.query(INSERT, values);
    },
    serverMs: () => Promise.resolve(0),
    close: () => pool.end(),
  };
}

// `like` leaves foreign keys out
const PLAIN_TABLES = `
  create table plain_records (like records including all, foreign key (user_id) references users);
  create table plain_pushes (like pushes including all, foreign key (user_id) references users,
    foreign key (user_id, device_id) references devices (user_id, device_id))`;

const PUSH_COLUMNS =
  'user_id, device_id, first_mutation_id, change_count, first_change_seq, results';
const RECORD_COLUMNS = 'user_id, source, record_id, data, change_seq, occurred_at';
/** Of either. */
const COLUMNS = 6;

const INSERT = `with push as (insert into plain_pushes (${PUSH_COLUMNS}) values (${placesOf(0)}))
  insert into plain_records (${RECORD_COLUMNS}, deleted)
  values ${Array.from({ length: BATCH }, (_, i) => `(${placesOf(i + 1)},false)`)}`;

/** Where a row's values stand among all. */
function placesOf(row: number): string {
  return Array.from({ length: COLUMNS }, (_, column) => `$${row * COLUMNS + column + 1}`).join();
}

/** Any key seals as well as the user's own. */
const KEYS = userKeys('user', {
  hashKey: randomBytes(KEY_BYTES),
  dataKeys: [{ generation: 1, key: randomBytes(KEY_BYTES) }],
});
const SHA256_BYTES = 32;

/** The answers to the push. */
function pushOf(userId: string, batch: number): unknown[] {
  const first = batch * BATCH + 1;
  const hashes = randomBytes(BATCH * SHA256_BYTES).toString('base64');
  const results = KEYS.seal('results', { hashes, reasons: {} });
  return [userId, 'phone', first, BATCH, first, results];
}

function recordsOf(userId: string, batch: number): unknown[] {
  return changesOf(mail, batch).flatMap(({ source, recordId, data, occurredAt }, i) => [
    ...[userId, source, recordId, KEYS.seal(recordId, data), batch * BATCH + i + 1, occurredAt],
  ]);
}
