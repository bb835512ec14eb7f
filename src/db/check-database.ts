import { join } from 'node:path';
import pg from 'pg';
import { lockDataFolder } from './data-folder-lock.ts';

/** Says what the database is like, and changes nothing. Throws when it cannot be reached, or when another process has the
 *  built-in one. */
export async function checkDatabase(options: {
  dataDir: string;
  databaseUrl?: string | undefined;
}): Promise<string> {
  if (options.databaseUrl !== undefined) return checkPostgres(options.databaseUrl);
  const lock = await lockDataFolder(options.dataDir);
  await lock.release();
  return `built in, in ${join(options.dataDir, 'pg')}; no other process has it`;
}

async function checkPostgres(databaseUrl: string): Promise<string> {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    const { rows } = await client.query<{ version: string; checksums: string; sync: string }>(
      `select current_setting('server_version') as version,
        current_setting('data_checksums') as checksums, current_setting('fsync') as sync`,
    );
    const { version = '?', checksums = '?', sync = '?' } = rows[0] ?? {};
    if (sync !== 'on')
      throw new Error('fsync is off: a power cut loses accepted changes. Turn it on.');
    return `PostgreSQL ${version}, checksums ${checksums}`;
  } finally {
    await client.end();
  }
}
