import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { publishAdapter } from '../../src/adapters/publish.ts';
import { type AdapterStore, openAdapterStore } from '../../src/adapters/store.ts';
import { registerDevice } from '../../src/changes/devices.ts';
import { ensureUser } from '../../src/changes/users.ts';
import { type Db, openDatabase } from '../../src/db/database.ts';
import { vaultOf } from '../../src/db/sealed-columns.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { backUp, restore } from '../../src/operations/backup.ts';
import { candidateOf, newTrainee } from '../adapters/fixture.ts';
import { sampleMail } from '../support/mailbox.ts';
import { feedEpochs, rowsOf } from '../support/rows-of.ts';
import { describeEachDatabase, newDataFolder } from '../support/servers/databases.ts';
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
      erased: 0,
      damaged: [],
    });
    const dataDir = await newDataFolder();
    const vault = vaultOf(db);
    const other = await openDatabase({ dataDir, vault });
    const otherStore = await openAdapterStore(dataDir, vault);
    const target = { db: other.kysely, store: otherStore };
    expect(await restore(target, backup)).toMatchObject({ rows: rows.length, adapters: 1 });
    expect(await rowsOf(other.kysely)).toEqual(rows);
    // a device that has heard of what came after the backup must not take new events for those
    const epochs = await feedEpochs(db);
    expect(epochs.length).toBeGreaterThan(0);
    for (const epoch of await feedEpochs(other.kysely)) expect(epochs).not.toContain(epoch);
    const adapters = other.kysely.selectFrom('adapters').select(['userId', 'sha256']);
    const adapter = await adapters.executeTakeFirstOrThrow();
    expect(await otherStore.isIntact(adapter)).toBe(true);
    // what comes after is numbered behind what was restored
    await newTrainee(other).then((trainee) => trainee.startRun());
    await expect(restore(target, backup)).rejects.toThrow('the database is not empty');
    await other.close();
    await rm(dataDir, { recursive: true });
  });

  it('is refused by an Attune with other tables, which stay empty', async () => {
    const db = database().kysely;
    const backup = join(folder, 'of-today');
    await backUp({ db, store }, backup);
    const dataDir = await newDataFolder();
    const vault = vaultOf(db);
    const other = await openDatabase({ dataDir, vault });
    const target = { db: other.kysely, store: await openAdapterStore(dataDir, vault) };
    const rows = gunzipSync(await readFile(join(backup, 'rows.gz'))).toString();
    const [first = '', ...rest] = rows.split('\n');
    const restoreWith = async (name: string, lines: readonly string[]) => {
      await mkdir(join(folder, name));
      await writeFile(join(folder, name, 'rows.gz'), gzipSync(lines.join('\n')));
      return restore(target, join(folder, name));
    };
    const names = JSON.parse(first.replace('migrations ', '')) as string[];
    const of = (migrations: readonly string[]) => `migrations ${JSON.stringify(migrations)}`;
    await expect(restoreWith('older', [of(names.slice(0, -1)), ...rest])).rejects.toThrow(
      `older Attune, whose tables lack ${names.at(-1)}. Restore it with that`,
    );
    // before backups said which tables they are of, answers were rows of a table of their own
    await expect(restoreWith('oldest', ['mutations {}', ...rest])).rejects.toThrow(
      /older Attune, whose tables lack 0001-first-tables, /,
    );
    await expect(restoreWith('newer', [of([...names, '9999-later']), ...rest])).rejects.toThrow(
      /newer Attune \(9999-later\)/,
    );
    expect(await other.kysely.selectFrom('users').selectAll().execute()).toEqual([]);
    await other.close();
    await rm(dataDir, { recursive: true });
  });

  it('does not bring back users who were erased since', async () => {
    const db = database().kysely;
    const erased = await ensureUser(db, 'erased-since', new Date());
    const device = { deviceId: 'phone', name: 'My phone', platform: 'node' };
    await registerDevice({ db, clock: systemClock }, erased.id, device);
    const backup = join(folder, 'before-erasure');
    await backUp({ db, store }, backup);
    const vault = vaultOf(db);
    await vault.destroy(erased.id);
    const dataDir = await newDataFolder();
    const other = await openDatabase({ dataDir, vault });
    const target = { db: other.kysely, store: await openAdapterStore(dataDir, vault) };
    expect(await restore(target, backup)).toMatchObject({ erased: 1 });
    const own = (await rowsOf(other.kysely)).filter((row) => row.includes(erased.id));
    expect(own).toEqual([expect.stringMatching(/^users .*"subject": null/)]);
    expect(own.join()).not.toContain('erased-since');
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

  it('is refused when keys that sealed it were destroyed by a rotation, and nothing is put back', async () => {
    const db = database().kysely;
    const backup = join(folder, 'before-rotation');
    await backUp({ db, store }, backup);
    const vault = vaultOf(db);
    const userIds = await vault.userIds();
    const dataDir = await newDataFolder();
    const other = await openDatabase({ dataDir, vault });
    const target = { db: other.kysely, store: await openAdapterStore(dataDir, vault) };
    for (const userId of userIds) {
      await vault.addGeneration(userId, Date.now() + 60_000);
      await vault.useNewest(userId);
      await vault.dropOldGenerations(userId);
    }
    await expect(restore(target, backup)).rejects.toThrow(
      /^Data key 1 of user .* was destroyed by a rotation/,
    );
    expect(await other.kysely.selectFrom('users').selectAll().execute()).toEqual([]);
    await other.close();
    await rm(dataDir, { recursive: true });
  });
});
