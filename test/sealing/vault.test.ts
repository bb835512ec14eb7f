import { randomUUID } from 'node:crypto';
import { copyFile, link, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { rotateMasterKeys } from '../../src/operations/rotate-keys.ts';
import { makeMasterKey } from '../../src/sealing/master-keys.ts';
import { folderVault, masterKeysOf, type Vault, vaultFrom } from '../../src/sealing/vault.ts';
import { instantClock } from '../support/clocks/instant-clock.ts';
import { startFakeKms } from '../support/servers/fake-kms.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';

const folder = useTemporaryFolder();
const newKey = () => makeMasterKey(new Date(0));

/** Seals with one vault, opens with another. */
async function carries(from: Vault, to: Vault, userId: string): Promise<boolean> {
  const sealed = (await from.keysOf(userId)).seal('place', 'a text');
  return (await to.keysOf(userId)).open('place', sealed) === 'a text';
}

describe('master keys from the environment', () => {
  it('wrap in place of a file, and open what older ones wrapped', async () => {
    const keysDir = folder('given');
    const [old, young] = [newKey(), { ...newKey(), id: 'young' }];
    const user = randomUUID();
    await vaultFrom({ keysDir, masterKeys: [old] }).create(user);
    expect(await readdir(keysDir)).not.toContain('master-keys.json');
    const before = vaultFrom({ keysDir, masterKeys: [old] });
    const after = vaultFrom({ keysDir, masterKeys: [young, old] });
    expect(await carries(before, after, user)).toBe(true);
    await expect(vaultFrom({ keysDir, masterKeys: [young] }).keysOf(user)).rejects.toThrow(
      `no master key ${old.id} in ATTUNE_MASTER_KEYS`,
    );
    expect(await after.rewrap(user)).toBe(true);
    expect(await after.rewrap(user)).toBe(false);
    expect(await carries(before, vaultFrom({ keysDir, masterKeys: [young] }), user)).toBe(true);
  });

  it('take over from the file', async () => {
    const keysDir = folder('taken over');
    const user = randomUUID();
    await folderVault(keysDir).create(user);
    const given = vaultFrom({ keysDir, masterKeys: [newKey()] });
    expect(await carries(folderVault(keysDir), given, user)).toBe(true);
    await given.rewrap(user);
    await rm(join(keysDir, 'master-keys.json'));
    await expect(folderVault(keysDir).keysOf(user)).rejects.toThrow('is gone');
  });
});

describe('a key management service', () => {
  const open: { close: () => Promise<unknown> }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
  });
  const start = async () => {
    const service = await startFakeKms('kms-token');
    open.push(service);
    service.keys.push(newKey());
    return service;
  };

  it("wraps and unwraps users' keys, and is asked once a minute for each", async () => {
    const keysDir = folder('kms');
    const service = await start();
    const kms = { url: service.url, token: 'kms-token' };
    const vault = vaultFrom({ keysDir, kms });
    const user = randomUUID();
    await vault.create(user);
    expect(await readdir(keysDir)).toEqual(['data-keys']);
    service.asked.length = 0;
    for (let i = 0; i < 3; i += 1) await vault.keysOf(user);
    expect(service.asked).toEqual(['/kms/unwrap', '/kms/unwrap']);
    expect(await carries(vault, vaultFrom({ keysDir, kms }), user)).toBe(true);
  });

  it('takes over from a file, and from its own older key', async () => {
    const keysDir = folder('kms takes over');
    const service = await start();
    const settings = { keysDir, kms: { url: service.url, token: 'kms-token' } };
    const user = randomUUID();
    await folderVault(keysDir).create(user);
    const vault = vaultFrom(settings);
    const rotate = () => rotateMasterKeys({ vault, masterKeys: masterKeysOf(settings) }, null);
    expect(await rotate()).toEqual({ masterKeyId: service.keys[0]?.id, users: 1 });
    await rm(join(keysDir, 'master-keys.json'));
    service.keys.unshift({ ...newKey(), id: 'young' });
    expect(await rotate()).toEqual({ masterKeyId: 'young', users: 1 });
    service.keys.pop();
    expect(await carries(vault, vaultFrom(settings), user)).toBe(true);
    expect(await rotate()).toEqual({ masterKeyId: 'young', users: 0 });
  });

  it('is asked again where it fails, and not where it refuses', async () => {
    const service = await start();
    const clock = instantClock();
    const of = (token: string) =>
      masterKeysOf({ keysDir: folder('kms fails'), kms: { url: service.url, token, clock } });
    service.state.failures = 2;
    expect(await of('kms-token').currentId()).toBe(service.keys[0]?.id);
    expect(clock.sleeps).toEqual([200, 1000]);
    await expect(of('wrong').currentId()).rejects.toThrow(/answered .* with 403/);
    service.state.failures = 3;
    await expect(of('kms-token').currentId()).rejects.toThrow(/answered .* with 503/);
    expect(clock.sleeps).toEqual([200, 1000, 200, 1000]);
    const nobody = masterKeysOf({
      ...{ keysDir: folder('kms fails'), kms: { url: 'http://127.0.0.1:9', clock } },
    });
    await expect(nobody.currentId()).rejects.toThrow('out of reach');
  });
});

describe('rotating master keys in the keys folder', () => {
  it('wraps every user anew, goes on after a kill, and drops what nobody needs with the next', async () => {
    const keysDir = folder('rotated');
    const vault = folderVault(keysDir);
    const users = [1, 2, 3].map(() => randomUUID());
    for (const user of users) await vault.create(user);
    const masterKeys = masterKeysOf({ keysDir });
    const ids = async () =>
      (
        JSON.parse(await readFile(join(keysDir, 'master-keys.json'), 'utf8')) as { id: string }[]
      ).map(({ id }) => id);
    const [first] = await ids();
    let left = 1;
    const killed: Vault = {
      ...vault,
      rewrap: (user) => {
        left -= 1;
        return left < 0 ? Promise.reject(new Error('killed')) : vault.rewrap(user);
      },
    };
    await expect(rotateMasterKeys({ vault: killed, masterKeys }, keysDir)).rejects.toThrow(
      'killed',
    );
    const [second] = await ids();
    expect(await vault.masterKeysInUse()).toEqual(new Set([first, second]));
    for (const user of users) expect(await carries(vault, folderVault(keysDir), user)).toBe(true);
    expect(await rotateMasterKeys({ vault, masterKeys }, keysDir)).toEqual({
      ...{ masterKeyId: second, users: 2 },
    });
    expect(await ids()).toEqual([second, first]);
    const third = await rotateMasterKeys({ vault, masterKeys }, keysDir);
    expect(third.users).toBe(3);
    expect(await ids()).toEqual([third.masterKeyId, second]);
    for (const user of users) expect(await carries(vault, folderVault(keysDir), user)).toBe(true);
  });

  it('is refused while another one goes on, which would lose the key that it wraps with', async () => {
    const keysDir = folder('rotated twice');
    const vault = folderVault(keysDir);
    const users = [randomUUID(), randomUUID()];
    for (const user of users) await vault.create(user);
    const masterKeys = masterKeysOf({ keysDir });
    const second: unknown[] = [];
    const first: Vault = {
      ...vault,
      masterKeysInUse: async () => {
        const inUse = await vault.masterKeysInUse();
        await rotateMasterKeys({ vault, masterKeys }, keysDir).catch((error: unknown) =>
          second.push(error),
        );
        return inUse;
      },
    };
    await rotateMasterKeys({ vault: first, masterKeys }, keysDir);
    for (const user of users) expect(await carries(vault, folderVault(keysDir), user)).toBe(true);
    expect(String(second)).toContain('Another rotation');
    await rotateMasterKeys({ vault, masterKeys }, keysDir);
  });

  it('leaves no older key behind that a kill had left', async () => {
    const keysDir = folder('left');
    const vault = folderVault(keysDir);
    const [kept, erased] = [randomUUID(), randomUUID()] as const;
    for (const user of [kept, erased]) await vault.create(user);
    const ringOf = (user: string) => join(keysDir, 'data-keys', user.slice(0, 2), `${user}.json`);
    const masterFile = join(keysDir, 'master-keys.json');
    // killed before the new file had its name, and between the two names of a first one
    for (const path of [ringOf(kept), masterFile]) await copyFile(path, `${path}.5e8a.tmp`);
    await link(ringOf(erased), `${ringOf(erased)}.5e8a.tmp`);
    await rotateMasterKeys({ vault, masterKeys: masterKeysOf({ keysDir }) }, keysDir);
    await copyFile(ringOf(erased), `${ringOf(erased)}.5e8b.tmp`);
    await vault.destroy(erased);
    const names = (await readdir(keysDir, { recursive: true })).filter((name) =>
      name.includes('.'),
    );
    expect(names.sort()).toEqual([
      'data-keys.lock',
      ringOf(kept).slice(keysDir.length + 1),
      ...['master-keys.json', 'rotation.lock'],
    ]);
    expect(await carries(vault, folderVault(keysDir), kept)).toBe(true);
  });

  it('never brings back what was destroyed meanwhile', async () => {
    const keysDir = folder('destroyed');
    const vault = folderVault(keysDir);
    const users = Array.from({ length: 12 }, () => randomUUID());
    for (const user of users) await vault.create(user);
    const masterKeys = masterKeysOf({ keysDir });
    const destroyed = users.filter((_, i) => i % 2 === 0);
    await Promise.all([
      rotateMasterKeys({ vault, masterKeys }, keysDir),
      ...destroyed.map((user) => folderVault(keysDir).destroy(user)),
    ]);
    expect(await vault.userIds()).toEqual(users.filter((_, i) => i % 2 === 1).sort());
  });
});
