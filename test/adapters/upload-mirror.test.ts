// Uploads whose bytes come to one server and then to another, with nothing but a bucket between them.

import { beforeEach, expect, it } from 'vitest';
import { UploadMirror } from '../../src/adapters/upload-mirror.ts';
import { LEAST_PIECE_BYTES } from '../../src/adapters/upload-pieces.ts';
import { Uploads } from '../../src/adapters/uploads.ts';
import type { Blobs } from '../../src/blobs/blobs.ts';
import { openBlobs } from '../../src/blobs/open-blobs.ts';
import { must } from '../../src/lib/errors.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { folderVault, type Vault } from '../../src/sealing/vault.ts';
import { useS3Server } from '../support/servers/s3-server.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';
import { STOPPED } from '../support/test-user.ts';

const inFolder = useTemporaryFolder();
const ANN = '00000000-0000-4000-8000-00000000000a';
const CONTENT = Buffer.from('all the numbers of an adapter');
const PLAN = {
  ...{ deviceId: 'phone', mode: 'subject', sizeBytes: CONTENT.length, sha256: sha256(CONTENT) },
};

const server = useS3Server();
let blobs: Blobs;
let vault: Vault;
let one: Uploads;
let two: Uploads;
beforeEach(async () => {
  vault = folderVault(inFolder('keys'));
  await vault.create(ANN);
  blobs = must(await openBlobs(server().url), 'a bucket');
  const uploadsIn = (name: string) =>
    new Uploads(inFolder(name), STOPPED, vault, new UploadMirror(blobs, vault, inFolder('')));
  [one, two] = [uploadsIn('one'), uploadsIn('two')];
  return () => blobs.close();
});

/** A server's folder, of which the others do not hear. */
const alone = (name: string) => new Uploads(inFolder(name), STOPPED, folderVault(inFolder('keys')));

/** As a PUT that arrives at this server. */
const receive = async (uploads: Uploads, id: string, from: number, to: number) => {
  expect((await uploads.find(ANN, id))?.receivedBytes).toBe(from);
  await uploads.append(ANN, id, CONTENT.subarray(from, to));
};

it('goes on at whichever server the next bytes come to, and is published once for all (DEV-17)', async () => {
  const { id } = await one.begin(ANN, PLAN);
  expect(await two.begin(ANN, PLAN)).toMatchObject({ id, receivedBytes: 0 });
  await receive(one, id, 0, 10);
  await receive(two, id, 10, 20);
  await receive(one, id, 20, CONTENT.length);
  const whole = must(await two.find(ANN, id), 'the upload');
  expect(await two.read(ANN, whole)).toEqual(CONTENT);
  await two.finish(ANN, whole, 'adapter 1');
  expect(await one.find(ANN, id)).toMatchObject({ adapterId: 'adapter 1' });
  // what is left in the bucket says that it is over
  expect([...server().objects.keys()].map((key) => key.split('/').at(-1))).toEqual(['published']);
});

it('is sent to the bucket piece by piece, each once', async () => {
  const bytes = Buffer.alloc(6 * LEAST_PIECE_BYTES, 'numbers');
  const plan = { ...PLAN, sizeBytes: bytes.length, sha256: sha256(bytes) };
  const { id } = await one.begin(ANN, plan);
  const requests = server().requests.length;
  for (let i = 0; i < 6; i += 1) {
    const uploads = i % 2 === 0 ? one : two;
    const start = i * LEAST_PIECE_BYTES;
    expect(await uploads.find(ANN, id)).toMatchObject({ receivedBytes: start });
    await uploads.append(ANN, id, bytes.subarray(start, start + LEAST_PIECE_BYTES));
  }
  const asked = server().requests.slice(requests);
  const count = (method: string) => asked.filter((request) => request.startsWith(method)).length;
  expect(count('PUT')).toBe(6);
  const { objects } = server();
  const stored = [...objects.values()].reduce((sum, object) => sum + object.bytes.length, 0);
  expect(stored).toBeLessThan(1.01 * bytes.length);
  const whole = must(await one.find(ANN, id), 'the upload');
  expect((await one.read(ANN, whole)).equals(bytes)).toBe(true);
});

it('lies in the bucket sealed, and goes with its user', async () => {
  const { id } = await one.begin(ANN, PLAN);
  await receive(one, id, 0, 10);
  await receive(one, id, 10, CONTENT.length);
  const objects = [...server().objects.values()].map(({ bytes }) => bytes);
  // the bytes, and what they are to be
  expect(objects).toHaveLength(2);
  for (const bytes of objects) {
    expect(bytes.includes(CONTENT)).toBe(false);
    expect(bytes.includes(CONTENT.toString('base64'))).toBe(false);
  }
  await two.removeAll(ANN);
  expect(server().objects.size).toBe(0);
  expect(await two.find(ANN, id)).toBeNull();
});

it('is harmed by nobody who took the same bytes at once', async () => {
  const { id } = await one.begin(ANN, PLAN);
  await two.find(ANN, id);
  await alone('one').append(ANN, id, CONTENT.subarray(0, 12));
  await alone('two').append(ANN, id, CONTENT.subarray(0, 5));
  await one.share(ANN, id);
  await two.share(ANN, id);
  const here = must(await two.find(ANN, id), 'the upload');
  expect(here.receivedBytes).toBe(12);
  await alone('one').append(ANN, id, CONTENT.subarray(12, 14));
  await receive(two, id, 12, 20);
  await one.share(ANN, id);
  await receive(one, id, 20, CONTENT.length);
  expect(await one.read(ANN, must(await one.find(ANN, id), 'the upload'))).toEqual(CONTENT);
});

it('puts pieces together that overlap', async () => {
  const bytes = Buffer.from(Array.from({ length: LEAST_PIECE_BYTES + 300 }, (_, i) => i % 251));
  const { id } = await one.begin(ANN, { ...PLAN, sizeBytes: bytes.length, sha256: sha256(bytes) });
  await two.find(ANN, id);
  await alone('one').append(ANN, id, bytes.subarray(0, LEAST_PIECE_BYTES));
  await alone('one').append(ANN, id, bytes.subarray(LEAST_PIECE_BYTES, LEAST_PIECE_BYTES + 200));
  await alone('two').append(ANN, id, bytes.subarray(0, LEAST_PIECE_BYTES + 100));
  await one.share(ANN, id);
  await two.share(ANN, id);
  expect(await two.find(ANN, id)).toMatchObject({ receivedBytes: LEAST_PIECE_BYTES + 200 });
  await two.append(ANN, id, bytes.subarray(LEAST_PIECE_BYTES + 200));
  for (const uploads of [one, two]) {
    const whole = must(await uploads.find(ANN, id), 'the upload');
    expect((await uploads.read(ANN, whole)).equals(bytes)).toBe(true);
  }
});

it('begins again where the key is gone, at every server', async () => {
  const { id } = await one.begin(ANN, PLAN);
  await receive(one, id, 0, 10);
  await vault.addGeneration(ANN, Date.now());
  await vault.useNewest(ANN);
  await vault.dropOldGenerations(ANN);
  expect(await two.begin(ANN, PLAN)).toMatchObject({ id, receivedBytes: 0 });
  await receive(two, id, 0, 5);
  await receive(one, id, 5, CONTENT.length);
  const whole = must(await two.find(ANN, id), 'the upload');
  expect(await two.read(ANN, whole)).toEqual(CONTENT);
});
