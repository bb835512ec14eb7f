import { expect, it } from 'vitest';
import { sha256 } from '../../../src/lib/sha256.ts';
import type { Fault } from '../oracle/oracle-files.ts';
import { OracleServer } from '../oracle/oracle-server.ts';
import { TestDevice } from '../test-device.ts';

/** A device that waits to upload what it trained, on a network that damages the first so many uploads. */
async function trainedDevice(damaged: number) {
  const server = new OracleServer();
  const phone = new TestDevice(server, 'phone');
  await phone.sync();
  const bytes = Buffer.from('trained');
  const result = { sha256: sha256(bytes), sizeBytes: bytes.length, losses: [1], examples: 9 };
  const trained = {
    ...{ mode: 'diary', status: 'TRAINED' as const, reason: null, run: 'run', records: [] },
    ...{ parentId: null, baseSha256: 'base', datasetSha256: 'data', dataThrough: null },
    ...{ startedFromId: null, result: { ...result, verdict: { passed: true } as never } },
    lesson: {
      ...{ recipe: '', datasetSha256: 'data', learnt: [], rootLearnt: [] },
      shippedSha256: null,
    },
    shippedFiles: [],
  };
  await phone.parts.storage.files.append(result.sha256, bytes);
  await phone.parts.trained.write(trained, await phone.parts.learnt.noting(trained, result.sha256));
  let left = damaged;
  const { put } = server.uploads;
  server.uploads.put = (id, init, fault) => {
    const isDamaged = left > 0;
    left -= 1;
    return put.call(server.uploads, id, init, isDamaged ? ('flipped' as Fault) : fault);
  };
  return { server, phone };
}

it('sends an upload that was damaged on its way again, from its first byte (DEV-30)', async () => {
  const { server, phone } = await trainedDevice(1);
  expect(await phone.sync()).toBe('failed');
  expect(await phone.parts.trained.find('diary')).toMatchObject({ status: 'TRAINED' });
  phone.start(null);
  expect(await phone.sync()).toBe('done');
  expect(await phone.parts.trained.find('diary')).toMatchObject({ status: 'PUBLISHED' });
  expect(server.uploads.published).toHaveLength(1);
  expect(phone.installed).toEqual({ diary: server.live('diary')?.id });
});

it('gives up what arrives damaged each time, and goes on with all else (DEV-30)', async () => {
  const { server, phone } = await trainedDevice(Number.POSITIVE_INFINITY);
  const outcomes: string[] = [];
  for (let n = 0; n < 5; n += 1) outcomes.push(await phone.sync());
  expect(outcomes).toEqual(['failed', 'failed', 'failed', 'failed', 'done']);
  expect(await phone.parts.trained.find('diary')).toMatchObject({ status: 'REFUSED' });
  expect(server.uploads.published).toEqual([]);
});
