import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AdapterStore, openAdapterStore } from '../../src/adapters/store.ts';
import { issueToken, openAuthenticator } from '../../src/auth/tokens.ts';
import { vaultOf } from '../../src/db/sealed-columns.ts';
import { finishErasures } from '../../src/erasure/erase-user.ts';
import { openReceipt } from '../../src/erasure/receipt.ts';
import { verifyReceipt } from '../../src/erasure/verify-receipt.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { fromGlobalId } from '../../src/lib/global-id.ts';
import { openLocalWakeups } from '../../src/lib/wakeups.ts';
import { publishTo } from '../adapters/fixture.ts';
import { COMPLETE, EVENT, input, mail, PUSH, phone, REGISTER } from '../schema/fixture.ts';
import { ApiClient } from '../support/api/api-client.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';

const RECEIPT = 'requestedAt completedAt counts adapters dataKeySha256 receipt';
const ERASE_VIEWER = `mutation { eraseViewer { ${RECEIPT} } }`;
const ERASE_RECORDS = `mutation ($source: String!, $before: DateTime) {
  eraseRecords(source: $source, before: $before) { ${RECEIPT} } }`;
const RATE = 'mutation ($input: RateCompletionInput!) { rateCompletion(input: $input) { id } }';
const ALL = `{ viewer { id devices { deviceId } records { edges { node { recordId } } }
  completions { edges { node { input text } } }
  modes { adapter { id } dataset { id } runs { edges { node { status } } } } } }`;

describeEachDatabase('erasing', (database) => {
  let dir: string;
  let store: AdapterStore;
  let one: Api;
  let two: Api;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'attune-erasure-'));
    store = await openAdapterStore(dir, vaultOf(database().kysely));
    const wakeups = openLocalWakeups();
    const authenticator = await openAuthenticator(dir, systemClock);
    one = await startApi(database(), systemClock, store, { wakeups, authenticator });
    two = await startApi(database(), systemClock, store, { wakeups, authenticator });
  });
  afterAll(async () => {
    await two.close();
    await one.close();
    await rm(dir, { recursive: true });
  });

  /** A user with something in every table. */
  async function newUser() {
    const subject = randomUUID();
    const client = new ApiClient(one.url, await issueToken(dir, subject, systemClock));
    await client.ask(REGISTER, { input: phone });
    const changes = [1, 2, 3].map((id) => ({
      ...mail(id),
      occurredAt: `2026-01-0${id}T00:00:00Z`,
    }));
    await client.ask(PUSH, { input: { deviceId: 'phone', changes } });
    const { complete } = await client.ask(COMPLETE, { input });
    const rating = { completionId: complete.id, better: 'On Friday at nine' };
    await client.ask(RATE, { input: rating });
    const adapter = await publishTo(database(), one.services, { subject }, async (owner) => {
      const folder = await mkdtemp(join(dir, 'trained-'));
      await writeFile(join(folder, 'adapter_config.json'), '{}');
      await writeFile(join(folder, 'adapter_model.safetensors'), `of ${owner}`);
      return store.put(folder, owner);
    });
    const userId = adapter.userId ?? '';
    await client.ask(
      'mutation ($input: AcknowledgeAdapterInput!) { acknowledgeAdapter(input: $input) { id } }',
      { input: { deviceId: 'phone', adapterId: await idOf(client), state: 'INSTALLED' } },
    );
    return { subject, client, adapter, userId };
  }

  const idOf = async (client: ApiClient) =>
    (await client.ask('{ viewer { mode(key: "subject") { adapter { id } } } }')).viewer.mode.adapter
      .id;

  /** How many rows each table has of the user. */
  async function rowsOf(userId: string): Promise<Record<string, number>> {
    const { kysely: db } = database();
    const { rows } = await sql<{ table: string }>`
      select table_name as "table" from information_schema.columns
      where table_schema = current_schema() and column_name = 'user_id'`.execute(db);
    const counts: Record<string, number> = {};
    for (const { table } of rows) {
      const found = await sql<{ count: number }>`
        select count(*)::int as count from ${sql.table(table)} where user_id = ${userId}`.execute(
        db,
      );
      const count = found.rows[0]?.count ?? 0;
      if (count > 0) counts[table] = count;
    }
    return counts;
  }

  describe('the viewer', () => {
    it('leaves nothing of theirs, and everything of others', async () => {
      const [gone, kept] = [await newUser(), await newUser()];
      const before = await rowsOf(kept.userId);
      expect(Object.keys(await rowsOf(gone.userId)).length).toBeGreaterThan(8);
      const { eraseViewer } = await gone.client.ask(ERASE_VIEWER);
      expect(eraseViewer.counts).toMatchObject({ records: 3, completions: 1, devices: 1 });
      expect(eraseViewer.adapters).toEqual([gone.adapter.sha256]);
      expect(eraseViewer.dataKeySha256).toMatch(/^[0-9a-f]{64}$/);
      // what devices on open sockets have yet to hear
      expect(await rowsOf(gone.userId)).toEqual({ feed_events: 1 });
      await expect(vaultOf(database().kysely).keysOf(gone.userId)).rejects.toThrow('no keys');
      await expect(stat(store.pathOf(gone.adapter))).rejects.toThrow('ENOENT');
      expect(await rowsOf(kept.userId)).toEqual(before);
      expect(await store.isIntact(kept.adapter)).toBe(true);
    });

    it('begins anew with the same token, on every server at once', async () => {
      const { client, userId } = await newUser();
      const elsewhere = new ApiClient(two.url, client.token);
      const { viewer: before } = await elsewhere.ask(ALL);
      expect(fromGlobalId(before.id)?.id).toBe(userId);
      await client.ask(ERASE_VIEWER);
      for (const each of [client, elsewhere]) {
        await expect
          .poll(async () => fromGlobalId((await each.ask(ALL)).viewer.id)?.id)
          .not.toBe(userId);
        const { viewer } = await each.ask(ALL);
        expect(viewer).toMatchObject({ devices: [], records: { edges: [] } });
        expect(viewer.completions.edges).toEqual([]);
      }
      await client.ask(REGISTER, { input: phone });
      const { pushChanges } = await client.ask(PUSH, {
        input: { deviceId: 'phone', changes: [mail(1)] },
      });
      expect(pushChanges.results).toMatchObject([{ outcome: 'APPLIED', changeSeq: 1 }]);
    });

    it('is told to devices that listen, whose sockets are closed then', async () => {
      const { client } = await newUser();
      const socket = client.socket();
      const events = socket.iterate({
        query: `subscription { adapterEvents { ${EVENT} } }`,
      });
      expect((await events.next()).value).toMatchObject({
        data: { adapterEvents: { __typename: 'AdapterReady' } },
      });
      const id = await idOf(client);
      await client.ask(ERASE_VIEWER);
      expect((await events.next()).value).toMatchObject({
        data: {
          adapterEvents: { __typename: 'AdapterRevoked', adapterId: id, reason: 'USER_ERASED' },
        },
      });
      await expect(events.next()).rejects.toMatchObject({ code: 4401 });
    });

    it('makes a cursor from before resync, so that a device drops what it holds', async () => {
      const { client } = await newUser();
      const feed = `query ($after: Cursor) { viewer { adapterFeed(after: $after) {
        __typename ... on AdapterFeedPage { cursor events { __typename } } } } }`;
      const { viewer } = await client.ask(feed, { after: null });
      await client.ask(ERASE_VIEWER);
      const { cursor: after } = viewer.adapterFeed;
      const { viewer: anew } = await client.ask(feed, { after });
      expect(anew.adapterFeed).toMatchObject({ __typename: 'ResyncRequired' });
      const page = (await client.ask(feed, { after: null })).viewer.adapterFeed;
      expect(page.events).toEqual([]);
    });

    it('keeps lost devices locked out', async () => {
      const { client, subject } = await newUser();
      await client.ask('mutation { revokeDevice(deviceId: "lost") { deviceId } }');
      await client.ask(ERASE_VIEWER);
      const lost = new ApiClient(
        one.url,
        await issueToken(dir, subject, systemClock, { device: 'lost' }),
      );
      expect((await lost.send('{ viewer { id } }')).status).toBe(403);
      expect((await client.ask(ALL)).viewer.devices).toEqual([]);
    });

    it('is finished by another server when the first one dies half-way, and forgotten later', async () => {
      const { client, userId, adapter } = await newUser();
      const { kysely: db } = database();
      await client.ask(ERASE_VIEWER);
      // as a server leaves it that dies right after its commit
      await vaultOf(db).create(userId);
      await store.put(await trainedFolder(), userId);
      const { uploads } = one.services;
      const plan = { deviceId: 'phone', mode: 'subject', sizeBytes: 4, sha256: 'a'.repeat(64) };
      const upload = await uploads.begin(userId, plan);
      await finishErasures({ db, store, uploads, clock: systemClock });
      expect(await uploads.find(userId, upload.id)).toBeNull();
      await expect(vaultOf(db).keysOf(userId)).rejects.toThrow('no keys');
      expect(await stat(store.pathOf(adapter)).catch(() => null)).toBeNull();
      expect(await rowsOf(userId)).toEqual({ feed_events: 1 });
      const later = { ...systemClock, now: () => Date.now() + 2 * 60 * 60 * 1000 };
      await finishErasures({ db, store, uploads, clock: later });
      expect(await rowsOf(userId)).toEqual({});
      const user = db.selectFrom('users').select('id').where('id', '=', userId);
      expect(await user.executeTakeFirst()).toBeUndefined();
    });

    it('succeeds once of several calls at the same time', async () => {
      const { client, userId } = await newUser();
      const answers = await Promise.all([1, 2, 3].map(() => client.send(ERASE_VIEWER)));
      const whole = answers.filter(({ data }) => data?.eraseViewer?.counts.records === 3);
      expect(whole).toHaveLength(1);
      expect(await rowsOf(userId)).toEqual({ feed_events: 1 });
    });
  });

  const trainedFolder = async () => {
    const folder = await mkdtemp(join(dir, 'trained-'));
    await writeFile(join(folder, 'adapter_config.json'), '{}');
    await writeFile(join(folder, 'adapter_model.safetensors'), 'left behind');
    return folder;
  };

  describe('records', () => {
    it('takes those of a source from before a time, and asks for a rebuild', async () => {
      const { client } = await newUser();
      const variables = { source: 'mail.sent', before: '2026-01-03T00:00:00Z' };
      const { eraseRecords } = await client.ask(ERASE_RECORDS, variables);
      expect(eraseRecords).toMatchObject({ counts: { records: 2 }, dataKeySha256: null });
      const { viewer } = await client.ask(ALL);
      const left = viewer.records.edges.map(
        (edge: { node: { recordId: string } }) => edge.node.recordId,
      );
      expect(left).toEqual(['mail-3']);
      // the answer to the very text of those mails went with them
      expect(viewer.completions.edges).toEqual([{ node: { input: null, text: '' } }]);
      const runs = viewer.modes.flatMap(
        (mode: { runs: { edges: { node: { status: string } }[] } }) => mode.runs.edges,
      );
      expect(runs).toContainEqual({ node: { status: 'QUEUED' } });
      const again = await client.ask(ERASE_RECORDS, variables);
      expect(again.eraseRecords.counts).toEqual({ records: 0 });
    });

    it('takes all of a source, and knows no other sources than there are', async () => {
      const { client } = await newUser();
      const { eraseRecords } = await client.ask(ERASE_RECORDS, { source: 'mail.sent' });
      expect(eraseRecords.counts).toEqual({ records: 3 });
      expect((await client.ask(ALL)).viewer.records.edges).toEqual([]);
      const { errors } = await client.send(ERASE_RECORDS, { source: 'mail' });
      expect(errors).toMatchObject([{ extensions: { code: 'BAD_INPUT' } }]);
      // numbers go on, and what comes next is a record like any other
      const { pushChanges } = await client.ask(PUSH, {
        input: { deviceId: 'phone', changes: [mail(4)] },
      });
      expect(pushChanges.results).toMatchObject([{ outcome: 'APPLIED' }]);
    });
  });

  describe('gives a receipt', () => {
    const folder = useTemporaryFolder();
    const receiptOf = async () => {
      const { client, adapter } = await newUser();
      const { eraseViewer } = await client.ask(ERASE_VIEWER);
      return { eraseViewer, adapter };
    };

    it('that anybody can check without the server', async () => {
      const { eraseViewer, adapter } = await receiptOf();
      const path = folder('receipt.json');
      await writeFile(path, JSON.stringify(eraseViewer.receipt));
      const keys = await (await fetch(`${one.url}/.well-known/attune-keys.json`)).json();
      const [{ kid }] = (keys as { keys: [{ kid: string }] }).keys;
      const text = await verifyReceipt(path, kid);
      expect(text).toContain(`signed by ${kid}.`);
      expect(text).toContain(adapter.sha256);
      const { erasure } = openReceipt(JSON.stringify(eraseViewer.receipt));
      expect(erasure).toMatchObject({
        scope: { kind: 'VIEWER' },
        requestedAt: eraseViewer.requestedAt,
        dataKeySha256: eraseViewer.dataKeySha256,
      });
      await expect(verifyReceipt(path, 'another')).rejects.toThrow('not by another');
      await expect(verifyReceipt(join(path, 'none'))).rejects.toThrow();
    });

    it('that cannot be altered in any part', async () => {
      const { eraseViewer } = await receiptOf();
      const { receipt } = eraseViewer;
      const payload = JSON.parse(Buffer.from(receipt.payload, 'base64').toString());
      const lie = { ...payload, counts: { records: 99 } };
      const other = (await receiptOf()).eraseViewer.receipt;
      const forgeries = [
        { ...receipt, payload: Buffer.from(JSON.stringify(lie)).toString('base64') },
        { ...receipt, payload: other.payload },
        { ...receipt, payloadType: 'application/json' },
        { ...receipt, keys: [] },
        { ...receipt, keys: [{ ...receipt.keys[0], x: 'A'.repeat(43) }] },
        { ...receipt, signatures: [] },
        {},
      ];
      for (const forged of forgeries)
        expect(() => openReceipt(JSON.stringify(forged))).toThrow(/^it|^its|^the key/);
      expect(() => openReceipt('not JSON')).toThrow('it is no receipt');
    });
  });
});
