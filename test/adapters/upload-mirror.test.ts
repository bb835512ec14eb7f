// Uploads whose bytes come to one server and then to another, with nothing but a bucket between them.

import { beforeEach, expect, it } from 'vitest';
import { UploadMirror } from '../../src/adapters/upload-mirror.ts';
import { Uploads } from '../../src/adapters/uploads.ts';
import type { Blobs } from '../../src/blobs/blobs.ts';
import { openBlobs } from '../../src/blobs/open-blobs.ts';
import { must } from '../../src/lib/errors.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { folderVault } from '../../src/sealing/vault.ts';
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
let one: Uploads;
let two: Uploads;
beforeEach(async () => {
  const vault = folderVault(inFolder('keys'));
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

it('lies in the bucket sealed, and goes with its user', async () => {
  const { id } = await one.begin(ANN, PLAN);
  await receive(one, id, 0, CONTENT.length);
  const objects = [...server().objects.values()].map(({ bytes }) => bytes);
  expect(objects).toHaveLength(1);
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
  await receive(two, id, 12, CONTENT.length);
  expect(await one.read(ANN, must(await one.find(ANN, id), 'the upload'))).toEqual(CONTENT);
});
