// All that a deployment has written down, as text to look for words in.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { createClient } from 'redis';

/** Every file below a folder. */
export async function filesBelow(dir: string): Promise<readonly string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Every key and what is in it, in Redis's own form. */
export async function dumpRedis(url: string): Promise<string> {
  const client = await createClient({ url }).connect();
  try {
    const keys = await client.keys('*');
    const read: Record<string, (key: string) => Promise<unknown>> = {
      string: (key) => client.get(key),
      hash: (key) => client.hGetAll(key),
      list: (key) => client.lRange(key, 0, -1),
      set: (key) => client.sMembers(key),
      zset: (key) => client.zRange(key, 0, -1),
      stream: (key) => client.xRange(key, '-', '+'),
    };
    const entries = keys.map(async (key) => [key, await read[await client.type(key)]?.(key)]);
    return JSON.stringify(await Promise.all(entries));
  } finally {
    client.destroy();
  }
}

/** Every row of every table of every schema, as text. */
export async function dumpPostgres(url: string): Promise<string> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables
       where schemaname not in ('pg_catalog', 'information_schema')`,
    );
    const dumps: string[] = [];
    for (const { name } of rows) {
      const { rows: lines } = await client.query(`select t::text as line from ${name} t`);
      dumps.push(name, JSON.stringify(lines));
    }
    return dumps.join('\n');
  } finally {
    await client.end();
  }
}
