import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { publishAdapter } from '../../src/adapters/publish.ts';
import { type AdapterStore, openAdapterStore } from '../../src/adapters/store.ts';
import { type Db, openDatabase } from '../../src/db/database.ts';
import { dumpRows } from '../../src/db/dump.ts';
import { vaultOf } from '../../src/db/sealed-columns.ts';
import { backUp, restore } from '../../src/operations/backup.ts';
import { candidateOf, newTrainee } from '../adapters/fixture.ts';
import { describeEachDatabase, newDataFolder } from '../support/databases.ts';
import { sampleMail } from '../support/mailbox.ts';
import { loadShippedModes } from '../support/test-user.ts';
import { World } from '../support/world.ts';

const TENSORS = 'adapter_model.safetensors';

describeEachDatabase('a backup', (database) => {
  let folder: string;
  let store: AdapterStore;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'attune-backup-'));
    store = await openAdapterStore(join(folder, 'original'), vaultOf(database().kysely));
    await fill(database().kysely);
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** Users with records, datasets, answers, ratings, and an adapter whose bytes are in the store. */
  async function fill(db: Db): Promise<void> {
    const catalog = await loadShippedModes();
    const world = await World.open(database(), catalog);
    await world.user.push(sampleMail('m1', 'boat'), sampleMail('m2', 'tea'));
    await world.fold(catalog.mode('subject'));
    const answer = await world.answer('subject', { body: 'Hello' }, 'Hi');
    await world.rate(answer.id, 'Dear all');
    const trainee = await newTrainee(database());
    const trained = join(folder, 'trained');
    await mkdir(trained);
    await writeFile(join(trained, 'adapter_config.json'), '{}');
    await writeFile(join(trained, TENSORS), 'the tensors');
    const candidate = {
      ...candidateOf('the tensors'),
      ...(await store.put(trained, trainee.userId)),
    };
    await publishAdapter(trainee.deps, await trainee.startRun(), candidate);
    expect((await rowsOf(db)).length).toBeGreaterThan(10);
  }

  it('is restored into an empty place as it was, to the last row and byte', async () => {
    const db = database().kysely;
    const backup = join(folder, 'backup');
    const rows = await rowsOf(db);
    expect(await backUp({ db, store }, backup)).toEqual({
      rows: rows.length,
      adapters: 1,
      damaged: [],
    });
    const dataDir = await newDataFolder();
    const vault = vaultOf(db);
    const other = await openDatabase({ dataDir, vault });
    const otherStore = await openAdapterStore(dataDir, vault);
    const target = { db: other.kysely, store: otherStore };
    expect(await restore(target, backup)).toEqual({ rows: rows.length, adapters: 1, damaged: [] });
    expect(await rowsOf(other.kysely)).toEqual(rows);
    const adapters = other.kysely.selectFrom('adapters').select(['userId', 'sha256']);
    const adapter = await adapters.executeTakeFirstOrThrow();
    expect(await otherStore.isIntact(adapter)).toBe(true);
    // what comes after is numbered behind what was restored
    await newTrainee(other).then((trainee) => trainee.startRun());
    await expect(restore(target, backup)).rejects.toThrow('the database is not empty');
    await other.close();
    await rm(dataDir, { recursive: true });
  });

  it('names damaged adapters and leaves them out', async () => {
    const db = database().kysely;
    const adapters = db.selectFrom('adapters').select(['userId', 'sha256']);
    const adapter = await adapters.executeTakeFirstOrThrow();
    await writeFile(join(store.pathOf(adapter), TENSORS), 'damaged');
    expect(await backUp({ db, store }, join(folder, 'second'))).toMatchObject({
      adapters: 0,
      damaged: [adapter.sha256],
    });
  });
});

async function rowsOf(db: Db): Promise<string[]> {
  const lines: string[] = [];
  await dumpRows(db, (rows) => {
    lines.push(...rows.map(({ table, json }) => `${table} ${json}`));
    return Promise.resolve();
  });
  return lines.sort();
}
