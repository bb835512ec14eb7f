// What devices upload lies sealed, and what nobody goes on with does not stay.

import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { beforeEach, expect, it } from 'vitest';
import { Uploads } from '../../src/adapters/uploads.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { folderVault, type Vault } from '../../src/sealing/vault.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';

const inFolder = useTemporaryFolder();
const HOUR_MS = 60 * 60 * 1000;
const [ANN, BERT] = ['a', 'b'].map((end) => `00000000-0000-4000-8000-00000000000${end}`) as [
  string,
  string,
];
const planOf = (content: string) => ({
  ...{ deviceId: 'phone', mode: 'subject', sizeBytes: content.length, sha256: sha256(content) },
});

let vault: Vault;
let now: number;
let uploads: Uploads;
beforeEach(async () => {
  vault = folderVault(inFolder('keys'));
  for (const user of [ANN, BERT]) await vault.create(user);
  now = Date.now();
  uploads = new Uploads(inFolder('uploads'), { ...systemClock, now: () => now }, vault);
});

it('lies sealed while it comes, and begins again where the key is gone', async () => {
  const content = 'the numbers of an adapter';
  const { id } = await uploads.begin(ANN, planOf(content));
  await uploads.append(ANN, id, Buffer.from(content.slice(0, 11)));
  await uploads.append(ANN, id, Buffer.from(content.slice(11, 20)));
  const path = inFolder(`uploads/${ANN}/${id}`);
  expect((await readFile(path)).includes('numbers')).toBe(false);
  expect(await uploads.find(ANN, id)).toMatchObject({ receivedBytes: 20 });
  await vault.addGeneration(ANN, Date.now());
  await vault.useNewest(ANN);
  await vault.dropOldGenerations(ANN);
  const anew = await uploads.begin(ANN, planOf(content));
  expect(anew).toMatchObject({ id, receivedBytes: 0 });
  await uploads.append(ANN, id, Buffer.from(content));
  const whole = { ...anew, receivedBytes: content.length };
  expect(`${await uploads.read(ANN, whole)}`).toBe(content);
});

it('goes when it was left behind, of users too who never begin another', async () => {
  await uploads.removeOld();
  const old = await uploads.begin(ANN, planOf('old'));
  await uploads.append(ANN, old.id, Buffer.from('ol'));
  // bytes whose server died before it wrote their plan
  await writeFile(inFolder(`uploads/${ANN}/${sha256('torso')}`), 'torso');
  now += 25 * HOUR_MS;
  const fresh = await uploads.begin(BERT, planOf('fresh'));
  const begun = new Date(now);
  await utimes(inFolder(`uploads/${BERT}/${fresh.id}.json`), begun, begun);
  await uploads.removeOld();
  expect(await readdir(inFolder(`uploads/${ANN}`))).toEqual([]);
  expect(await uploads.find(ANN, old.id)).toBeNull();
  expect(await uploads.find(BERT, fresh.id)).toMatchObject({ receivedBytes: 0 });
});
