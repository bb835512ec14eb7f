import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fetchHubModel } from '../../../src/model/download/hub.ts';
import { instantClock } from '../../support/clocks/instant-clock.ts';
import { sampleCheckpoint, writeHfFolder } from '../../support/model/sample-checkpoint.ts';
import type { FileServer } from '../../support/servers/file-server.ts';
import { COMMIT, startHubServer } from '../../support/servers/hub-server.ts';
import { useTemporaryFolder } from '../../support/temporary-folder.ts';

const inFolder = useTemporaryFolder();
const MODEL = { repo: 'org/sample', revision: 'main' };

async function hubWith(shardCount: number): Promise<FileServer> {
  writeHfFolder(inFolder('remote'), sampleCheckpoint(), { shardCount });
  return await startHubServer('org/sample', inFolder('remote'));
}

function fetchFrom(hub: FileServer, token?: string): Promise<string> {
  const options = { clock: instantClock(), onProgress: hub.received };
  return fetchHubModel(MODEL, inFolder('local'), { endpoint: hub.url, token }, options);
}

test('what a checkpoint needs is fetched, of one commit, and nothing else', async () => {
  const hub = await hubWith(2);
  const dir = await fetchFrom(hub);
  expect(dir).toBe(join(inFolder('local'), COMMIT));
  expect(readdirSync(dir).sort()).toEqual([
    'config.json',
    'model-00001-of-00002.safetensors',
    'model-00002-of-00002.safetensors',
    'model.safetensors.index.json',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  expect(hub.requests.every(({ authorization }) => authorization === undefined)).toBe(true);
});

test('files that are not the model, such as other formats of the weights, are left there', async () => {
  writeHfFolder(inFolder('remote'), sampleCheckpoint());
  writeFileSync(inFolder('remote/pytorch_model.bin'), 'x'.repeat(1000));
  writeFileSync(inFolder('remote/generation_config.json'), '{}');
  const hub = await startHubServer('org/sample', inFolder('remote'));
  const dir = await fetchFrom(hub);
  expect(readdirSync(dir)).toContain('generation_config.json');
  expect(readdirSync(dir)).not.toContain('pytorch_model.bin');
});

test('the progress counts all files together', async () => {
  const hub = await hubWith(2);
  const progress: [number, number | null][] = [];
  await fetchHubModel(
    MODEL,
    inFolder('local'),
    { endpoint: hub.url },
    {
      clock: instantClock(),
      onProgress: (doneBytes, totalBytes) => progress.push([doneBytes, totalBytes]),
    },
  );
  const done = progress.map(([doneBytes]) => doneBytes);
  expect(done).toEqual([...done].sort((a, b) => a - b));
  expect(done.at(-1)).toBe(progress.at(-1)?.[1]);
});

test('broken connections are continued, and whole files not fetched again', async () => {
  const hub = await hubWith(1);
  await fetchFrom(hub);
  rmSync(join(inFolder('local'), COMMIT, 'model.safetensors'));
  hub.requests.length = 0;
  hub.faults.push({ kind: 'none' }, { kind: 'none' }, { kind: 'cut', afterBytes: 4000 });
  await fetchFrom(hub);
  const files = hub.requests.filter(({ path }) => path.includes('/resolve/'));
  expect(files.map(({ path, range }) => [path.split('/').at(-1), range])).toEqual([
    ['model.safetensors', undefined],
    ['model.safetensors', 'bytes=4000-'],
  ]);
});

test('a hub that fails for a while is asked again', async () => {
  const hub = await hubWith(1);
  hub.faults.push(
    { kind: 'status', status: 502 },
    { kind: 'none' },
    { kind: 'status', status: 503 },
  );
  await expect(fetchFrom(hub)).resolves.toContain(COMMIT);
});

test('the token goes with every request', async () => {
  const hub = await hubWith(1);
  await fetchFrom(hub, 'hf_secret');
  expect(new Set(hub.requests.map(({ authorization }) => authorization))).toEqual(
    new Set(['Bearer hf_secret']),
  );
});

test('weights that are not what the hub promised are refused', async () => {
  const hub = await hubWith(1);
  const path = `/org/sample/resolve/${COMMIT}/model.safetensors`;
  hub.files.set(
    path,
    (hub.files.get(path) as Uint8Array).map((byte) => byte ^ 1),
  );
  await expect(fetchFrom(hub)).rejects.toThrow(/model\.safetensors has SHA-256/);
});

test.each([
  [404, 'NOT_FOUND'],
  [401, 'NOT_FOUND'],
  [400, 'UNAVAILABLE'],
])('the answer %i for the model is %s and names it', async (status, code) => {
  const hub = await hubWith(1);
  hub.faults.push({ kind: 'status', status });
  const attempt = fetchFrom(hub);
  await expect(attempt).rejects.toMatchObject({ code });
  await expect(attempt).rejects.toThrow(/answers \d+ for the model org\/sample@main/);
});

test('a page that is not a hub is UNAVAILABLE', async () => {
  const hub = await hubWith(1);
  hub.files.set('/api/models/org/sample/revision/main', Buffer.from('<html>please log in</html>'));
  const attempt = fetchFrom(hub);
  await expect(attempt).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await expect(attempt).rejects.toThrow(/does not answer like a hub/);
});

test('a hub that gives a path as its commit is not followed', async () => {
  const hub = await hubWith(1);
  const info = {
    _id: '1',
    id: 'org/sample',
    sha: '../../elsewhere',
    lastModified: '2020-01-01T00:00:00Z',
  };
  hub.files.set('/api/models/org/sample/revision/main', Buffer.from(JSON.stringify(info)));
  await expect(fetchFrom(hub)).rejects.toThrow(/gives \.\.\/\.\.\/elsewhere as the commit/);
});

test('a model without safetensors is NOT_FOUND, naming what is missing', async () => {
  writeHfFolder(inFolder('remote'), sampleCheckpoint());
  rmSync(inFolder('remote/model.safetensors'));
  const hub = await startHubServer('org/sample', inFolder('remote'));
  const attempt = fetchFrom(hub);
  await expect(attempt).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(attempt).rejects.toThrow(
    /org\/sample@main on .* has no model\.safetensors\.index\.json/,
  );
});
