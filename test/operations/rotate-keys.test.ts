import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { publishAdapter } from '../../src/adapters/publish.ts';
import { type AdapterStore, openAdapterStore } from '../../src/adapters/store.ts';
import type { Database } from '../../src/db/database.ts';
import { SEALED_TABLES, vaultOf } from '../../src/db/sealed-columns.ts';
import { TENSORS_FILE } from '../../src/model/lora/lora-wire.ts';
import { rotateDataKeys } from '../../src/operations/rotate-keys.ts';
import { type OpenFile, openFileIn } from '../../src/sealing/private-folder.ts';
import { folderVault, KEY_MEMORY_MS, type Vault } from '../../src/sealing/vault.ts';
import { candidateOf } from '../adapters/fixture.ts';
import { instantClock } from '../support/clocks/instant-clock.ts';
import { sampleMail } from '../support/mailbox.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { loadShippedModes } from '../support/test-user.ts';
import { World } from '../support/world.ts';

describeEachDatabase('rotating data keys', (database) => {
  let folder: string;
  let store: AdapterStore;
  let world: World;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'attune-rotation-'));
    store = await openAdapterStore(folder, vaultOf(database().kysely));
    const catalog = await loadShippedModes();
    world = await World.open(database(), catalog);
    const mails = Array.from({ length: 250 }, (_, i) => sampleMail(`m${i}`, `boat ${i}`));
    await world.user.push(...mails);
    await world.fold(catalog.mode('subject'));
    const answer = await world.answer('subject', { body: 'Hello' }, 'Hi');
    await world.rate(answer.id, 'Dear all');
    await publish('the tensors');
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function publish(content: string): Promise<void> {
    const { id: userId } = world.user;
    const trained = await mkdtemp(join(folder, 'trained-'));
    await writeFile(join(trained, 'adapter_config.json'), '{}');
    await writeFile(join(trained, 'adapter_model.safetensors'), content);
    const stored = await store.put(trained, userId);
    const mode = (await loadShippedModes()).mode('subject');
    const claim = await world.startRun(mode);
    await publishAdapter(world.registry, claim, { ...candidateOf(content), ...stored });
  }

  /** Which generations sealed what lies in the database. */
  async function generationsInUse({ kysely: db }: Database): Promise<readonly number[]> {
    const found = new Set<number>();
    for (const [table, { columns }] of Object.entries(SEALED_TABLES))
      for (const column of columns) {
        const { rows } = await sql<{ head: string }>`
          select distinct encode(substring(${sql.ref(column)} from 1 for 4), 'hex') as head
          from ${sql.table(table)} where ${sql.ref(column)} is not null`.execute(db);
        for (const { head } of rows) found.add(Number.parseInt(head, 16));
      }
    return [...found].sort();
  }

  const adapter = () =>
    world.db
      .selectFrom('adapters')
      .select(['userId', 'sha256'])
      .where('userId', '=', world.user.id)
      .executeTakeFirstOrThrow();

  it('seals every row and file anew, tells nobody anything else, and goes on after a kill', async () => {
    const db = world.db;
    const vault = vaultOf(db);
    const clock = { ...instantClock(), now: () => Date.now() + 1_000 };
    const before = await world.dump();
    const keysDir = folder;
    let left = 1;
    const killed: Vault = {
      ...vault,
      useNewest: (user) => {
        left -= 1;
        return left < 0 ? Promise.reject(new Error('killed')) : vault.useNewest(user);
      },
    };
    const deps = { db, store, vault, keysDir, clock };
    await expect(rotateDataKeys({ ...deps, vault: killed })).rejects.toThrow('killed');
    // whatever came between is read and written as always
    await world.user.push(sampleMail('between', 'tea'));
    expect(await world.dump()).toContain('between');
    const { rows, adapters } = await rotateDataKeys(deps);
    expect(rows).toBeGreaterThan(250);
    expect(adapters).toBe(1);
    expect(clock.sleeps.length).toBeGreaterThanOrEqual(2);
    for (const ms of clock.sleeps) expect(ms).toBeGreaterThan(KEY_MEMORY_MS);
    expect(await generationsInUse(database())).toEqual([2]);
    expect(await store.isIntact(await adapter())).toBe(true);
    expect((await vault.keysOf(world.user.id)).fileKeys.map((key) => key.generation)).toEqual([2]);
    const texts = JSON.parse(before).flat() as { data?: unknown }[];
    expect(await world.dump()).toContain(JSON.stringify(texts[0]?.data));
    expect(await readdir(keysDir)).not.toContain('data-key-rotation.json');
  });

  it('is refused while another one goes on, which would seal with keys that not all know yet', async () => {
    const vault = vaultOf(world.db);
    const deps = { db: world.db, store, vault, keysDir: folder, clock: instantClock() };
    const second: string[] = [];
    const first: Vault = {
      ...vault,
      useNewest: async (user) => {
        await rotateDataKeys(deps).catch((error: unknown) => second.push(String(error)));
        return vault.useNewest(user);
      },
    };
    await rotateDataKeys({ ...deps, vault: first });
    expect(second.length).toBeGreaterThan(0);
    for (const error of second) expect(error).toContain('Another rotation');
    await rotateDataKeys(deps);
  });

  it('lets a download that broke off before it go on where it was', async () => {
    const { id: userId } = world.user;
    const vault = vaultOf(world.db);
    const name = await adapter();
    const read = (file: OpenFile, start: number, end: number) => text(file.read({ start, end }));
    const before = await openFileIn(await store.folderOf(name), TENSORS_FILE);
    const head = await read(before, 0, 4);
    await vault.addGeneration(userId, Date.now() + 60_000);
    await vault.useNewest(userId);
    await store.reseal(name);
    await vault.dropOldGenerations(userId);
    const after = await openFileIn(await store.folderOf(name), TENSORS_FILE);
    expect(head + (await read(after, 4, after.plainBytes))).toBe('the tensors');
    // and one that goes on all the while
    expect(head + (await read(before, 4, before.plainBytes))).toBe('the tensors');
    for (const file of [before, after]) await file.close();
  });
});

it('is known to a process that has remembered the older keys', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'attune-two-vaults-'));
  try {
    const [one, two] = [folderVault(folder), folderVault(folder)];
    const user = '00000000-0000-4000-8000-00000000000a';
    await one.create(user);
    const old = (await two.keysOf(user)).seal('p', 1);
    await one.addGeneration(user, Date.now() + 1);
    // not used yet, so what the other process remembers is enough
    expect((await two.keysOf(user)).open('p', (await one.keysOf(user)).seal('p', 2))).toBe(2);
    two.forget(user);
    await two.keysOf(user);
    await one.useNewest(user);
    expect((await two.keysOf(user)).open('p', (await one.keysOf(user)).seal('p', 3))).toBe(3);
    await one.dropOldGenerations(user);
    await expect(one.keysOf(user).then((keys) => keys.open('p', old))).rejects.toThrow(
      'data key 1',
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
