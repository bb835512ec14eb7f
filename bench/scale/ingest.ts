// Changes per second through the API, by users who push at once, against plain INSERTs of the same rows.

import { join } from 'node:path';
import pg from 'pg';
import { Phone } from '../../demo/phone.ts';
import { issueToken } from '../../src/auth/tokens.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { AttuneProcess } from '../../test/support/attune-process.ts';

const USERS = 8;
/** Pushed first and not counted: what is compiled while it runs. */
const WARM_UP = 10;
const BATCHES = 40;
const BATCH = 100;

/** How fast changes were taken. */
export interface Ingest {
  readonly perS: number;
  /** Of a batch of 100 changes. */
  readonly p99Ms: number;
}

/** Pushes through a server that is started for it, on this database or on the built-in one. */
export async function ingestThroughApi(
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<Ingest> {
  const dataDir = join(folder, 'ingest');
  const role = 'DATABASE_URL' in env ? 'serve' : 'all';
  // contacts are what no enabled mode trains on
  const flags = ['--port', '0', '--data', dataDir, '--model', 'tiny', '--modes', 'subject'];
  const server = new AttuneProcess([role, ...flags, '--log-level', 'error'], env);
  try {
    const url = await server.printed(/running at (\S+)/);
    const phones = await Promise.all(
      Array.from({ length: USERS }, async (_, i) => {
        const token = await issueToken(dataDir, `user-${i}`, systemClock);
        const phone = new Phone({ url, token }, 'phone');
        await phone.register('Phone');
        return phone;
      }),
    );
    const ingest = await time((user, batch) => phones[user]?.push(contacts(batch)));
    await Promise.all(phones.map((phone) => phone.close()));
    return ingest;
  } finally {
    server.kill('SIGTERM');
    await server.exit();
  }
}

/** Inserts the same rows into a table like ours, a statement a batch. */
export async function ingestByInserts(databaseUrl: string): Promise<Ingest> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: USERS });
  try {
    await pool.query('create table plain_records (like records including all)');
    const { rows } = await pool.query<{ id: string }>('select id from users order by subject');
    return await time(async (user, batch) => {
      const values = contacts(batch).map(({ source, recordId, data, occurredAt }, i) => [
        ...[rows[user]?.id, source, recordId, JSON.stringify(data)],
        ...[batch * BATCH + i + 1, occurredAt],
      ]);
      const places = values.map(
        (row, r) => `(${row.map((_, c) => `$${r * row.length + c + 1}`)},false)`,
      );
      await pool.query(
        `insert into plain_records (user_id, source, record_id, data, change_seq, occurred_at, deleted) values ${places}`,
        values.flat(),
      );
    });
  } finally {
    await pool.end();
  }
}

/** All users at once, each batch after batch. */
async function time(
  push: (user: number, batch: number) => Promise<void> | undefined,
): Promise<Ingest> {
  const pushAll = async (from: number, to: number): Promise<number[]> => {
    const latencies: number[] = [];
    const pushing = Array.from({ length: USERS }, async (_, user) => {
      for (let batch = from; batch < to; batch += 1) {
        const sentAt = performance.now();
        await push(user, batch);
        latencies.push(performance.now() - sentAt);
      }
    });
    await Promise.all(pushing);
    return latencies;
  };
  await pushAll(0, WARM_UP);
  const startedAt = performance.now();
  const latencies = await pushAll(WARM_UP, WARM_UP + BATCHES);
  const seconds = (performance.now() - startedAt) / 1000;
  latencies.sort((a, b) => a - b);
  return {
    perS: (USERS * BATCHES * BATCH) / seconds,
    p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
  };
}

function contacts(batch: number) {
  return Array.from({ length: BATCH }, (_, i) => ({
    source: 'contacts',
    recordId: `contact-${batch}-${i}`,
    kind: 'UPSERT' as const,
    data: { name: `Person ${i}`, email: `person-${batch}-${i}@example.org` },
    occurredAt: '2026-01-01T00:00:00Z',
  }));
}
