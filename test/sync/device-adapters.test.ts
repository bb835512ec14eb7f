// What the server takes of devices that train: uploads that break off, adapters that are none, and the order of versions.

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePeftTensors } from '../../src/adapters/peft-content.ts';
import { encodeWireFile } from '../../src/adapters/wire-file.ts';
import { must } from '../../src/lib/errors.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import {
  LORA_MODULES,
  type LoraShape,
  loraSize,
  unflattenLora,
} from '../../src/model/lora/lora.ts';
import { roundLora } from '../../src/model/lora/lora-wire.ts';
import { seededRandom } from '../../src/training/core/random.ts';
import { ApiClient } from '../support/api/api-client.ts';
import { START_MS, startTinyApp, type TinyApp } from '../support/api/tiny-app.ts';

const SHAPE: LoraShape = { rank: 8, alpha: 16, modules: LORA_MODULES, layers: [2, 3] };
const BEGIN = `mutation ($input: BeginAdapterUploadInput!) { beginAdapterUpload(input: $input) {
  id url sizeBytes receivedBytes } }`;
const PUBLISH = `mutation ($input: PublishAdapterInput!) { publishAdapter(input: $input) {
  id version status origin sha256 parent { id } } }`;
const PUSH = `mutation ($input: PushChangesInput!) { pushChanges(input: $input) {
  ... on PushAccepted { results { outcome reason changeSeq } } } }`;

let server: TinyApp;
beforeAll(async () => {
  server = await startTinyApp([], 'both');
}, START_MS);
afterAll(() => server?.close());

/** The wire form of an adapter of random numbers, of this spread. */
function wireOf(
  seed: number,
  { spread = 0.01, offset = 0.5, shape = SHAPE, base = server.app.base } = {},
) {
  const random = seededRandom(sha256(String(seed)));
  const { config } = base;
  const flat = Float32Array.from(
    { length: loraSize(config, shape) },
    () => (random() - offset) * spread,
  );
  const adapter = roundLora(unflattenLora(config, shape, flat));
  return must(
    encodeWireFile(encodePeftTensors(adapter, base)),
    'a rounded adapter has a wire form',
  );
}

/** A device of a new user, or another one of a user. */
async function newDevice(user: string = randomUUID()) {
  const token = await server.token(user);
  const api = new ApiClient(server.app.url, token);
  const deviceId = randomUUID();
  await api.ask(
    'mutation ($input: RegisterDeviceInput!) { registerDevice(input: $input) { id } }',
    { input: { deviceId, name: 'Phone', platform: 'test' } },
  );
  const begin = async (bytes: Uint8Array, more: object = {}) => {
    const input = {
      deviceId,
      mode: 'subject',
      sizeBytes: bytes.length,
      sha256: sha256(bytes),
      ...more,
    };
    return (await api.ask(BEGIN, { input })).beginAdapterUpload;
  };
  const put = (url: string, part: Uint8Array, first: number, all: number) =>
    fetch(server.app.url + url, {
      method: 'PUT',
      headers: {
        authorization: `Bearer ${token}`,
        'content-range': `bytes ${first}-${first + part.length - 1}/${all}`,
      },
      body: Uint8Array.from(part),
    });
  const upload = async (bytes: Uint8Array) => {
    const { id, url } = await begin(bytes);
    await put(url, bytes, 0, bytes.length);
    return id as string;
  };
  const publish = async (uploadId: string, more: object = {}) => {
    const measured = { steps: 10, examples: 40, holdoutExamples: 12, loss: 1.5, baseLoss: 2 };
    const input = {
      ...{ deviceId, uploadId, mode: 'subject', baseSha256: server.app.base.sha256 },
      ...{ datasetSha256: sha256('data'), dataThrough: 1, parentId: null, ...measured, ...more },
    };
    return (await api.ask(PUBLISH, { input })).publishAdapter;
  };
  let pushed = 0;
  const send = async (recordId: string, rest: object) => {
    pushed += 1;
    const change = {
      ...{ mutationId: pushed, source: 'mail.sent', recordId, ...rest },
      occurredAt: new Date(0).toISOString(),
    };
    const { pushChanges } = await api.ask(PUSH, { input: { deviceId, changes: [change] } });
    return pushChanges.results[0].changeSeq as number;
  };
  /** One more change of this device; too few to train on. */
  const push = () => {
    const data = { to: ['bo@example.org'], subject: 'Tea', body: 'Tea at four?' };
    return send(`m${pushed + 1}`, { kind: 'UPSERT', data });
  };
  const remove = (recordId: string) => send(recordId, { kind: 'DELETE' });
  const statuses = async () => {
    const { viewer } = await api.ask(
      '{ viewer { mode(key: "subject") { adapters(first: 9) { edges { node { version status } } } } } }',
    );
    const found = viewer.mode.adapters.edges as { node: { version: number; status: string } }[];
    return found.map(({ node }) => `${node.version} ${node.status}`).sort();
  };
  return { user, token, api, begin, put, upload, publish, push, remove, statuses };
}

describe('an upload', () => {
  it('goes on where it broke off, and is the same one when it is begun again (DEV-17)', async () => {
    const device = await newDevice();
    const bytes = wireOf(1);
    const begun = await device.begin(bytes);
    expect(begun).toMatchObject({ sizeBytes: bytes.length, receivedBytes: 0 });
    const first = await device.put(begun.url, bytes.subarray(0, 1000), 0, bytes.length);
    expect([first.status, first.headers.get('upload-offset')]).toEqual([204, '1000']);
    expect(await device.begin(bytes)).toMatchObject({ id: begun.id, receivedBytes: 1000 });
    const again = await device.put(begun.url, bytes.subarray(0, 1000), 0, bytes.length);
    expect([again.status, again.headers.get('upload-offset')]).toEqual([409, '1000']);
    const head = await fetch(server.app.url + begun.url, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${device.token}` },
    });
    expect(head.headers.get('upload-offset')).toBe('1000');
    await expect(device.publish(begun.id)).rejects.toThrow('1000 of');
    await device.put(begun.url, bytes.subarray(1000), 1000, bytes.length);
    await device.push();
    expect(await device.publish(begun.id)).toMatchObject({ version: 1, origin: 'DEVICE' });
  });

  it('that arrived otherwise than it was sent is to be sent again, from its first byte (DEV-30)', async () => {
    const device = await newDevice();
    await device.push();
    const bytes = wireOf(6);
    const { id, url } = await device.begin(bytes);
    await device.put(url, bytes.slice().fill(7, 0, 50), 0, bytes.length);
    await expect(device.publish(id)).rejects.toThrow('"code":"BAD_INPUT","reason":"SEND_AGAIN"');
    const gone = await device.put(url, bytes, 0, bytes.length);
    const { errors } = (await gone.json()) as { errors: { extensions: object }[] };
    expect([gone.status, errors[0]?.extensions]).toMatchObject([
      ...[404, { code: 'NOT_FOUND', reason: 'SEND_AGAIN' }],
    ]);
    expect(await device.begin(bytes)).toMatchObject({ id, receivedBytes: 0 });
    await device.put(url, bytes, 0, bytes.length);
    expect(await device.publish(id)).toMatchObject({ version: 1, origin: 'DEVICE' });
  });

  it('is its user’s alone, and of the size that it was to have', async () => {
    const device = await newDevice();
    const bytes = wireOf(2);
    const { url } = await device.begin(bytes);
    const stranger = await newDevice();
    expect((await stranger.put(url, bytes, 0, bytes.length)).status).toBe(404);
    expect((await device.put(url, bytes, 0, bytes.length - 1)).status).toBe(200);
    const beyond = await device.put(url, new Uint8Array(10), bytes.length - 5, bytes.length);
    expect(await beyond.text()).toContain('BAD_INPUT');
    await expect(device.begin(bytes, { sizeBytes: 10 })).rejects.toThrow('sizeBytes is 10');
    await expect(device.begin(bytes, { sizeBytes: 10_000_000 })).rejects.toThrow('sizeBytes');
    await expect(device.begin(bytes, { mode: 'continue' })).rejects.toThrow('do not train');
    await expect(device.begin(bytes, { deviceId: 'nobody' })).rejects.toThrow('NOT_FOUND');
  });
});

describe('an uploaded adapter', () => {
  const base = () => server.app.base;
  const other = { rank: 8, alpha: 16, modules: LORA_MODULES, layers: [1, 2] };
  const BAD: readonly (readonly [string, () => Uint8Array, string])[] = [
    ['of other layers', () => wireOf(3, { shape: other }), 'tensor'],
    ['of another base', () => wireOf(3, { base: { ...base(), sha256: sha256('x') } }), 'base'],
    ['that changes too much', () => wireOf(3, { spread: 3 }), 'over'],
    ['with numbers that are none', () => withNaN(wireOf(3)), 'NaN'],
    ['that is damaged', () => wireOf(3).fill(7, 0, 50), 'header'],
    ['that unlearns the language', () => wireOf(3, { spread: 0.2, offset: -0.2 }), 'unlearns'],
  ];
  it.each(BAD)('%s is refused (DEV-18)', async (_, make, reason) => {
    const device = await newDevice();
    await device.push();
    const id = await device.upload(make());
    await expect(device.publish(id)).rejects.toThrow(reason);
  });

  it('whose gate cannot have passed is refused, and so is one from the future', async () => {
    const device = await newDevice();
    const id = await device.upload(wireOf(4));
    await device.push();
    for (const [more, reason] of [
      [{ loss: 2.5 }, 'not below'],
      [{ holdoutExamples: 3 }, 'held-out'],
      [{ baseSha256: sha256('x') }, 'base'],
      [{ dataThrough: null }, 'dataThrough'],
      [{ dataThrough: 7 }, 'no change 7'],
    ] as const)
      await expect(device.publish(id, more)).rejects.toThrow(reason);
    await expect((await newDevice()).publish(id)).rejects.toThrow('NOT_FOUND');
  });

  it('is published once, after the live one, and with the newest data (DEV-19)', async () => {
    const first = await newDevice();
    const second = await newDevice(first.user);
    const through = await first.push();
    const uploads = {
      first: await first.upload(wireOf(5)),
      second: await second.upload(wireOf(6)),
    };
    const one = await first.publish(uploads.first, { dataThrough: through });
    expect(one).toMatchObject({ version: 1, status: 'LIVE', parent: null });
    // a lost reply
    expect(await first.publish(uploads.first, { dataThrough: through })).toEqual(one);
    await expect(second.publish(uploads.second, { dataThrough: through })).rejects.toThrow(
      'CONFLICT',
    );
    const beside = { parentId: one.id, dataThrough: through };
    await expect(second.publish(uploads.second, beside)).rejects.toThrow('CONFLICT');
    const later = { parentId: one.id, dataThrough: await second.push() };
    expect(await second.publish(uploads.second, later)).toMatchObject({
      version: 2,
      parent: { id: one.id },
    });
  });
});

describe('what a device trained', () => {
  it('is revoked with a record that it may have learnt from, and not published after it (PUSH-11, DEV-27)', async () => {
    const device = await newDevice();
    await device.push();
    const through = await device.push();
    const one = await device.publish(await device.upload(wireOf(7)), { dataThrough: through });
    expect(await device.statuses()).toEqual(['1 LIVE']);
    const late = await device.upload(wireOf(8));
    await device.remove('m1');
    expect(await device.statuses()).toEqual(['1 REVOKED']);
    await expect(device.publish(late, { dataThrough: through, parentId: one.id })).rejects.toThrow(
      'CONFLICT',
    );
    await expect(device.publish(late, { dataThrough: through })).rejects.toThrow('CONFLICT');
    const now = await device.push();
    expect(await device.publish(late, { dataThrough: now })).toMatchObject({ version: 2 });
  });

  it('is withdrawn with every version of the same bytes, by its user alone (DEV-25)', async () => {
    const device = await newDevice();
    const one = await device.publish(await device.upload(wireOf(9)), {
      dataThrough: await device.push(),
    });
    const two = await device.publish(await device.upload(wireOf(10)), {
      ...{ dataThrough: await device.push(), parentId: one.id },
    });
    const ROLLBACK = 'mutation ($id: ID!) { rollbackAdapter(adapterId: $id) { version } }';
    await device.api.ask(ROLLBACK, { id: one.id });
    expect(await device.statuses()).toEqual(['1 SUPERSEDED', '2 REVOKED', '3 LIVE']);
    const WITHDRAW = 'mutation ($id: ID!) { withdrawAdapter(adapterId: $id) { status } }';
    const stranger = await newDevice();
    await expect(stranger.api.ask(WITHDRAW, { id: one.id })).rejects.toThrow('NOT_FOUND');
    const revoked = { withdrawAdapter: { status: 'REVOKED' } };
    expect(await device.api.ask(WITHDRAW, { id: one.id })).toEqual(revoked);
    // safe to repeat, and of what is revoked already
    expect(await device.api.ask(WITHDRAW, { id: one.id })).toEqual(revoked);
    expect(await device.api.ask(WITHDRAW, { id: two.id })).toEqual(revoked);
    expect(await device.statuses()).toEqual(['1 REVOKED', '2 REVOKED', '3 REVOKED']);
  });
});

/** The file with its first scale no number. */
function withNaN(wire: Uint8Array): Uint8Array {
  const view = new DataView(wire.buffer, wire.byteOffset, wire.length);
  const start = Math.ceil((4 + view.getUint32(0, true)) / 4) * 4;
  view.setFloat32(start, Number.NaN, true);
  return wire;
}
