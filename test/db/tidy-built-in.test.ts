import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import { tidyBuiltIn } from '../../src/db/tidy-built-in.ts';
import { copyDatabase } from '../support/servers/databases.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';
import { loadShippedModes, newTestUser } from '../support/test-user.ts';

const folder = useTemporaryFolder();

it('lets the built-in database know how many records a user has, so that it finds one by its name', async () => {
  const dataDir = folder('data');
  await copyDatabase(dataDir);
  const database = await openDatabase({ dataDir });
  try {
    const user = await newTestUser(database.kysely, await loadShippedModes());
    const mails = Array.from({ length: 1_000 }, (_, i) => ({
      ...{ source: 'mail.sent', recordId: `m${i}` },
      data: { to: [], subject: 's', body: 'b' },
    }));
    await user.push(...mails);
    await tidyBuiltIn(database);
    const { rows } = await sql<{ 'QUERY PLAN': string }>`explain select data from records
      where user_id = ${user.id} and source = 'mail.sent' and record_id = 'm7'`.execute(
      database.kysely,
    );
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toMatch(/Index Cond: .*record_id/);
  } finally {
    await database.close();
  }
});
