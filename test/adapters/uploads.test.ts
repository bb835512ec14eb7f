// What devices upload lies sealed, and what nobody goes on with does not stay.

import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { LEAST_PIECE_BYTES } from '../../src/adapters/upload-pieces.ts';
import { Uploads } from '../../src/adapters/uploads.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
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

/** The files of an upload's pieces, by name. */
async function piecesOf(id: string): Promise<Map<string, Buffer>> {
  const dir = inFolder(`uploads/${ANN}/${id}.pieces`);
  const names = await readdir(dir);
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(dir, name))] as const)),
  );
}

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
  const pieces = await piecesOf(id);
  expect(pieces.size).toBe(1);
  for (const bytes of pieces.values()) expect(bytes.includes('numbers')).toBe(false);
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

/** Uploads bytes that differ, so many at a time; returns all that was ever written of them, and the files that are left. */
async function writtenFor(count: number, pieceBytes: number) {
  const content = Buffer.from(
    Array.from({ length: count * pieceBytes }, (_, i) => i * 7 + (i >> 8)),
  );
  const plan = { ...planOf('-'), sizeBytes: content.length, sha256: sha256(content) };
  const { id } = await uploads.begin(ANN, plan);
  const written = new Map<string, number>();
  for (let at = 0; at < content.length; at += pieceBytes) {
    expect(await uploads.find(ANN, id)).toMatchObject({ receivedBytes: at });
    await uploads.append(ANN, id, content.subarray(at, at + pieceBytes));
    for (const [name, { length }] of await piecesOf(id)) written.set(name, length);
  }
  const whole = must(await uploads.find(ANN, id), 'the upload');
  expect((await uploads.read(ANN, whole)).equals(content)).toBe(true);
  const bytes = [...written.values()].reduce((sum, length) => sum + length, 0);
  return { received: content.length, bytes, files: (await piecesOf(id)).size };
}

it('writes each byte once, however many pieces it comes in', async () => {
  for (const count of [4, 32]) {
    const { received, bytes, files } = await writtenFor(count, LEAST_PIECE_BYTES);
    expect(files).toBe(count);
    expect(bytes).toBeGreaterThan(received);
    expect(bytes).toBeLessThan(1.01 * received);
  }
});

it('makes no file of every few bytes that trickle in', async () => {
  const pieceBytes = LEAST_PIECE_BYTES / 8;
  const { received, bytes, files } = await writtenFor(64, pieceBytes);
  expect(files).toBe(8);
  // of eight that become one, each is written again with those behind it: (1 + 2 + ... + 8) / 8
  expect(bytes / received).toBeCloseTo(4.5, 1);
});

it('goes on after a kill in the middle of a piece, and between one and the next', async () => {
  const content = Buffer.from('all the numbers of an adapter');
  const { id } = await uploads.begin(ANN, { ...planOf(`${content}`) });
  const dir = inFolder(`uploads/${ANN}/${id}.pieces`);
  await uploads.append(ANN, id, content.subarray(0, 10));
  const short = await piecesOf(id);
  // the next piece was on its way to the disk
  await writeFile(join(dir, '0-20.1.5e8a.tmp'), [...short.values()][0]?.subarray(0, 30) ?? '');
  expect(await uploads.find(ANN, id)).toMatchObject({ receivedBytes: 10 });
  await uploads.append(ANN, id, content.subarray(10, 20));
  // or was there, and the shorter one that it has in it had not gone yet
  for (const [name, bytes] of short) await writeFile(join(dir, name), bytes);
  expect(await uploads.find(ANN, id)).toMatchObject({ receivedBytes: 20 });
  await uploads.append(ANN, id, content.subarray(20));
  const whole = must(await uploads.find(ANN, id), 'the upload');
  expect(await uploads.read(ANN, whole)).toEqual(content);
});

it('begins again after bytes that are not those that were announced', async () => {
  const { id } = await uploads.begin(ANN, planOf('the numbers'));
  await uploads.append(ANN, id, Buffer.from('the n'));
  const torso = must(await uploads.find(ANN, id), 'the upload');
  await expect(uploads.read(ANN, torso)).rejects.toThrow('5 of 11 bytes');
  await uploads.append(ANN, id, Buffer.from('UMBERS'));
  const other = must(await uploads.find(ANN, id), 'the upload');
  await expect(uploads.read(ANN, other)).rejects.toThrow('begin again');
  expect(await readdir(inFolder(`uploads/${ANN}`))).toEqual([]);
});

it('goes when it was left behind, of users too who never begin another', async () => {
  await uploads.removeOld();
  const old = await uploads.begin(ANN, planOf('old'));
  await uploads.append(ANN, old.id, Buffer.from('ol'));
  // pieces whose server died before it wrote their plan
  const torso = inFolder(`uploads/${ANN}/${sha256('torso')}.pieces`);
  await mkdir(torso);
  await writeFile(join(torso, '0-5.1'), 'torso');
  now += 25 * HOUR_MS;
  const fresh = await uploads.begin(BERT, planOf('fresh'));
  const begun = new Date(now);
  await utimes(inFolder(`uploads/${BERT}/${fresh.id}.json`), begun, begun);
  await uploads.removeOld();
  expect(await readdir(inFolder(`uploads/${ANN}`))).toEqual([]);
  expect(await uploads.find(ANN, old.id)).toBeNull();
  expect(await uploads.find(BERT, fresh.id)).toMatchObject({ receivedBytes: 0 });
});
