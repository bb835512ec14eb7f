import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { Kysely, Migrator, PostgresDialect, type PostgresPool, sql } from 'kysely';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { findInDatabase } from '../../src/changes/context.ts';
import { registerDevice } from '../../src/changes/devices.ts';
import { indexLookups } from '../../src/changes/index-lookups.ts';
import { pushChanges } from '../../src/changes/push-changes.ts';
import { pageRecords } from '../../src/changes/records.ts';
import { foldDataset } from '../../src/dataset/fold-dataset.ts';
import { loadDataset } from '../../src/dataset/load-dataset.ts';
import { openDatabase } from '../../src/db/database.ts';
import { firstTables } from '../../src/db/migrations/0001-first-tables.ts';
import { PglitePool } from '../../src/db/pglite-pool.ts';
import { pageCompletions } from '../../src/feedback/completions.ts';
import { rateCompletion } from '../../src/feedback/rate-completion.ts';
import { canonicalJson } from '../../src/lib/canonical-json.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { openLocalWakeups } from '../../src/lib/wakeups.ts';
import { inputKey } from '../../src/modes/prompt.ts';
import { newPostgresUrl } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';
import { loadShippedModes, NO_FORGETTING, NOW, STOPPED } from '../support/test-user.ts';
import { forgettingWith } from '../support/world.ts';

/** In every text that the old database had. */
const MARK = 'OPENTEXT';
const MAIL = { to: ['bob@example.org'], subject: `${MARK} subject`, body: `${MARK} body` };
const CONTACT = { name: `${MARK} Ann`, email: `Ann@${MARK}.example` };
const INPUT = { body: `${MARK} input` };
const OLD_CHANGES = [
  { source: 'contacts', recordId: 'bob', kind: 'UPSERT', data: { name: MARK } },
  { source: 'contacts', recordId: 'cid', kind: 'DELETE', data: null },
] as const;
const RECORDS = { contacts: { ann: CONTACT }, 'mail.sent': { m1: MAIL } };

describe('a database from before texts were sealed', () => {
  const folder = useTemporaryFolder();

  it('is sealed when it is opened, and works on (PGlite)', async () => {
    const dataDir = folder('data');
    await mkdir(dataDir);
    const pglite = await PGlite.create({ dataDir: folder('old') });
    const userId = await fill(new PglitePool(pglite));
    await pglite.close();
    await rename(folder('old'), join(dataDir, 'pg'));
    expect(await filesWithMark(dataDir)).not.toEqual([]);
    await checkUpgraded({ dataDir }, userId);
    expect(await filesWithMark(dataDir)).toEqual([]);
  });

  it.skipIf(!shouldRunWith('postgres'))('is sealed when it is opened (PostgreSQL)', async () => {
    const databaseUrl = await newPostgresUrl();
    const pool = new pg.Pool({ connectionString: databaseUrl });
    const userId = await fill(pool);
    await pool.end();
    await checkUpgraded({ dataDir: folder(), databaseUrl }, userId);
  });
});

/** A database as the first release left it, with a user's texts in every column. */
async function fill(pool: PglitePool | pg.Pool): Promise<string> {
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool: pool as PostgresPool }) });
  const provider = { getMigrations: () => Promise.resolve({ '0001-first-tables': firstTables }) };
  await new Migrator({ db, provider }).migrateToLatest();
  const [userId, deviceRowId, exampleId] = [randomUUID(), randomUUID(), randomUUID()];
  const run = (query: ReturnType<typeof sql>) => query.execute(db);
  await run(sql`insert into users (id, subject, change_seq, feed_epoch, created_at)
    values (${userId}, 'ann', 9, 'e', ${NOW})`);
  await run(sql`insert into devices (id, user_id, device_id, name, platform, last_mutation_id, last_seen_at)
    values (${deviceRowId}, ${userId}, 'phone', ${`${MARK} phone`}, 'test', 4, ${NOW})`);
  let seq = 0;
  for (const [source, records] of Object.entries(RECORDS)) {
    for (const [recordId, data] of Object.entries(records)) {
      seq += 1;
      const change = { source, recordId, kind: 'UPSERT', data, occurredAt: NOW.getTime() };
      await run(sql`insert into mutations values (${deviceRowId}, ${seq},
        ${sha256(canonicalJson(change))}, 'APPLIED', null, ${seq})`);
      await run(sql`insert into records (user_id, source, record_id, data, deleted, change_seq, occurred_at)
        values (${userId}, ${source}, ${recordId}, ${JSON.stringify(data)}, false, ${seq}, ${NOW})`);
    }
  }
  // one that was rejected, and one behind changes of another device
  const [third, fourth] = OLD_CHANGES.map((change) =>
    sha256(canonicalJson({ ...change, occurredAt: NOW.getTime() })),
  );
  await run(sql`insert into mutations values
    (${deviceRowId}, 3, ${third}, 'REJECTED', ${`${MARK} reason`}, null), (${deviceRowId}, 4, ${fourth}, 'APPLIED', null, 9)`);
  await run(sql`insert into examples (id, user_id, mode, source, record_id, ordinal, split, messages,
      target, sha256, input_sha256, from_seq) values (${exampleId}, ${userId}, 'subject', 'mail.sent', 'm1', 0, 'train',
      ${JSON.stringify([{ role: 'user', content: MARK }])}, ${MARK}, 'h', ${inputKey(INPUT)}, 2)`);
  await run(sql`insert into example_lookups values (${exampleId}, ${userId}, 'contacts', ${MARK})`);
  await run(sql`insert into completions (user_id, mode, input, context, input_sha256, text, prompt_tokens,
      completion_tokens, finish_reason, better, rated_at, created_at) values (${userId}, 'subject', ${JSON.stringify(INPUT)},
      '{}', ${inputKey(INPUT)}, ${`${MARK} text`}, 1, 1, 'STOP', ${`${MARK} better`}, ${NOW}, ${NOW})`);
  await run(sql`insert into preferences (user_id, mode, completion_id, input, context, input_sha256, chosen,
      rejected, sha256, change_seq, created_at) values (${userId}, 'subject', ${randomUUID()}, ${JSON.stringify(INPUT)},
      '{}', ${inputKey(INPUT)}, ${`${MARK} chosen`}, ${`${MARK} rejected`}, 'h', 2, ${NOW})`);
  return userId;
}

async function checkUpgraded(
  where: { dataDir: string; databaseUrl?: string },
  userId: string,
): Promise<void> {
  const database = await openDatabase(where);
  const db = database.kysely;
  const catalog = await loadShippedModes();
  const deps = { db, catalog, clock: STOPPED, wakeups: openLocalWakeups() };
  try {
    await indexLookups(db, catalog);
    const { edges } = await pageRecords(db, userId, {}, {});
    expect(edges.map(({ node }) => node.data)).toEqual([CONTACT, MAIL]);
    const reply = catalog.mode('reply');
    const lookups = reply.context.map((rule) => ({
      rule,
      key: `ann@${MARK.toLowerCase()}.example`,
    }));
    const find = await findInDatabase(db, userId, lookups);
    expect(lookups.map((lookup) => find(lookup)?.recordId)).toEqual(['ann']);
    // the same changes again are known
    const first = { source: 'contacts', recordId: 'ann', kind: 'UPSERT', data: CONTACT } as const;
    const second = { source: 'mail.sent', recordId: 'm1', kind: 'UPSERT', data: MAIL } as const;
    const push = await pushChanges({ ...deps, ...NO_FORGETTING }, userId, {
      deviceId: 'phone',
      changes: [first, second, ...OLD_CHANGES].map((change, i) => ({
        ...change,
        ...{ mutationId: i + 1, occurredAt: NOW },
      })),
    });
    expect(push).toMatchObject({
      results: [
        { outcome: 'DUPLICATE', reason: null, changeSeq: 1 },
        { outcome: 'DUPLICATE', reason: null, changeSeq: 2 },
        { outcome: 'DUPLICATE', reason: `${MARK} reason`, changeSeq: null },
        { outcome: 'DUPLICATE', reason: null, changeSeq: 9 },
      ],
    });
    const device = { deviceId: 'phone', name: 'Renamed', platform: 'test' };
    expect(await registerDevice(deps, userId, device)).toMatchObject({ lastMutationId: 4 });
    const completions = await pageCompletions(db, userId, ['subject'], {});
    const [completion] = completions.edges.map(({ node }) => node);
    expect(completion).toMatchObject({
      input: INPUT,
      text: `${MARK} text`,
      better: `${MARK} better`,
    });
    // the pair that is replaced is found by its input
    await rateCompletion(deps, userId, { completionId: completion?.id ?? '', better: 'other' });
    const pairs = await db
      .selectFrom('preferences')
      .select('untilSeq')
      .orderBy('changeSeq')
      .execute();
    expect(pairs).toEqual([{ untilSeq: 10 }, { untilSeq: null }]);
    const row = await foldDataset(db, userId, catalog.mode('subject'), NOW);
    const loaded = await loadDataset(db, catalog.mode('subject'), row);
    expect(loaded?.examples.map(({ target }) => target)).toEqual([MAIL.subject]);
    // a record from before is written over as any other
    const data = { ...MAIL, body: 'other' };
    const changes = [{ ...second, data, mutationId: 5, occurredAt: NOW }];
    const push5 = { deviceId: 'phone', changes };
    expect(await pushChanges({ ...deps, ...forgettingWith(catalog) }, userId, push5)).toMatchObject(
      { results: [{ outcome: 'APPLIED' }] },
    );
    const past = await db.selectFrom('pastInputs').select(['recordId', 'mode']).execute();
    expect(past).toContainEqual({ recordId: 'm1', mode: 'subject' });
  } finally {
    await database.close();
  }
}

async function filesWithMark(dir: string): Promise<string[]> {
  const files = await readdir(dir, { recursive: true, withFileTypes: true });
  const found: string[] = [];
  for (const file of files.filter((one) => one.isFile())) {
    const path = join(file.parentPath, file.name);
    if ((await readFile(path)).includes(MARK)) found.push(path);
  }
  return found;
}
