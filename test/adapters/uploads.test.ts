// What nobody goes on with does not stay: the bytes of an adapter lie plain until it is published.

import { appendFile, readdir, utimes } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { Uploads } from '../../src/adapters/uploads.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';

const inFolder = useTemporaryFolder();
const HOUR_MS = 60 * 60 * 1000;
const planOf = (content: string) => ({
  ...{ deviceId: 'phone', mode: 'subject', sizeBytes: content.length, sha256: sha256(content) },
});

it('removes uploads that were left behind, of users too who never begin another', async () => {
  const startedAt = Date.now();
  let now = startedAt;
  const uploads = new Uploads(inFolder('uploads'), { ...systemClock, now: () => now });
  await uploads.removeOld();
  const old = await uploads.begin('ann', planOf('old'));
  await appendFile(uploads.pathOf('ann', old.id), 'ol');
  // bytes whose server died before it wrote their plan
  await appendFile(uploads.pathOf('ann', sha256('torso')), 'torso');
  now = startedAt + 25 * HOUR_MS;
  const fresh = await uploads.begin('bert', planOf('fresh'));
  const begun = new Date(now);
  await utimes(`${uploads.pathOf('bert', fresh.id)}.json`, begun, begun);
  await uploads.removeOld();
  expect(await readdir(inFolder('uploads/ann'))).toEqual([]);
  expect(await uploads.find('ann', old.id)).toBeNull();
  expect(await uploads.find('bert', fresh.id)).toMatchObject({ receivedBytes: 0 });
});
