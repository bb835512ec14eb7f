import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { registerShipped } from '../../src/adapters/shipped.ts';
import type { AnswerEvent, Question } from '../../src/answers/answers.ts';
import { registerDevice } from '../../src/changes/devices.ts';
import { pushChanges } from '../../src/changes/push-changes.ts';
import { completionByClientId, completionById } from '../../src/feedback/completions.ts';
import type { Json } from '../../src/lib/canonical-json.ts';
import { AppError } from '../../src/lib/errors.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { acknowledgeAdapter } from '../../src/sync/acknowledge.ts';
import { filesOf, newTrainee } from '../adapters/fixture.ts';
import { type Api, FAKE_BASE, startApi } from '../support/api/api-server.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';

const never = new AbortController().signal;

describeWithDatabase('an answer', (database) => {
  let api: Api;
  let user: Awaited<ReturnType<typeof newTrainee>>;
  beforeAll(async () => {
    api = await startApi(database());
  });
  afterAll(() => api.close());
  beforeEach(async () => {
    user = await newTrainee(database());
  });

  const question = (rest: Partial<Question> = {}): Question => ({
    clientId: null,
    mode: api.services.catalog.mode('subject'),
    input: { body: 'Hello' },
    adapter: { kind: 'current' },
    maxTokens: 24,
    temperature: 0,
    topP: 1,
    seed: null,
    stop: ['\n'],
    ...rest,
  });
  const complete = (rest: Partial<Question> = {}, signal = never) =>
    api.services.answers.complete(user.userId, question(rest), signal);
  const stream = async (rest: Partial<Question> = {}, signal = never) => {
    const events: AnswerEvent[] = [];
    for await (const event of api.services.answers.stream(user.userId, question(rest), signal)) {
      events.push(event);
    }
    return events;
  };
  const lastRequest = () => api.engine.requests.at(-1);

  it('is what the engine says to the prompt of the mode, and is kept', async () => {
    const answer = await complete({ maxTokens: 3, temperature: 0.5, topP: 0.9, seed: 7 });
    expect(answer).toMatchObject({
      userId: user.userId,
      mode: 'subject',
      input: { body: 'Hello' },
      text: 'The plumber comes',
      adapterId: null,
      dataThrough: null,
      completionTokens: 3,
      finishReason: 'LENGTH',
    });
    const { promptIds, ...request } = lastRequest() ?? { promptIds: [] };
    expect(String.fromCodePoint(...promptIds)).toContain('Hello');
    expect(promptIds).toHaveLength(answer.promptTokens);
    expect(request).toEqual({
      adapter: null,
      maxTokens: 3,
      temperature: 0.5,
      topP: 0.9,
      seed: 7,
      stop: ['\n'],
      userId: user.userId,
    });
  });

  it("shows the prompt what the mode looks up among the user's records", async () => {
    const contact = { name: 'Ann Archer', email: 'ann@example.org', relation: 'my sister' };
    const device = { deviceId: 'phone', name: 'Phone', platform: 'test' };
    await registerDevice(api.services, user.userId, device);
    await pushChanges(api.services, user.userId, {
      deviceId: 'phone',
      changes: [
        {
          ...{ mutationId: 1, source: 'contacts', recordId: 'ann', kind: 'UPSERT' },
          ...{ data: contact, occurredAt: new Date() },
        },
      ],
    });
    const input = { from: 'ann@example.org', subject: 'Lunch?', body: 'Are you free?' };
    await complete({ mode: api.services.catalog.mode('reply'), input });
    const prompt = String.fromCodePoint(...(lastRequest()?.promptIds ?? []));
    expect(prompt).toContain('Ann Archer');
    expect(prompt).toContain('my sister');
  });

  it("comes from the user's live adapter and says which changes that one knew", async () => {
    const adapter = await user.publish('mine');
    expect(await complete()).toMatchObject({ adapterId: adapter.id, dataThrough: 3 });
    expect(lastRequest()?.adapter).toEqual({
      sha256: adapter.sha256,
      owner: user.userId,
      dir: `/nowhere/${adapter.sha256}`,
    });
  });

  it('comes from the bare base when that is asked for', async () => {
    await user.publish('mine');
    expect(await complete({ adapter: { kind: 'base' } })).toMatchObject({ adapterId: null });
  });

  it('comes from the bytes that are asked for, in their newest version', async () => {
    const first = await user.publish('first');
    const second = await user.publish('second');
    const again = await user.publish('first');
    const of = (bytes: string) => complete({ adapter: { kind: 'bytes', sha256: bytes } });
    expect(await of(second.sha256)).toMatchObject({ adapterId: second.id });
    expect(await of(first.sha256)).toMatchObject({ adapterId: again.id });
  });

  it('is refused for bytes that are unknown, of another mode, or of another user', async () => {
    const other = await newTrainee(database());
    const theirs = await other.publish('theirs');
    const reply = await user.publish('reply', 'reply');
    for (const bytes of [sha256('unknown'), theirs.sha256, reply.sha256, "'; drop table"]) {
      await expect(complete({ adapter: { kind: 'bytes', sha256: bytes } })).rejects.toMatchObject({
        code: 'NOT_FOUND',
        message: expect.stringContaining(JSON.stringify(bytes)),
      });
    }
  });

  it('comes from what a device holds, as long as that is not revoked', async () => {
    const deps = { ...user.deps, catalog: api.services.catalog };
    const heldByPhone = () => complete({ adapter: { kind: 'heldBy', deviceId: 'phone' } });
    await expect(heldByPhone()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await registerDevice(deps, user.userId, { deviceId: 'phone', name: 'P', platform: 'test' });
    await expect(heldByPhone()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const held = await user.publish('held');
    await acknowledgeAdapter(deps, user.userId, {
      deviceId: 'phone',
      adapterId: held.id,
      state: 'INSTALLED',
    });
    await user.publish('newer');
    expect(await heldByPhone()).toMatchObject({ adapterId: held.id });
    await user.db
      .updateTable('adapters')
      .set({ status: 'REVOKED' })
      .where('id', '=', held.id)
      .execute();
    await expect(heldByPhone()).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it("comes from the mode's shipped adapter when the user has none, knowing no change", async () => {
    const shipped = {
      mode: 'continue',
      baseSha256: FAKE_BASE.sha256,
      sha256: sha256('adapter_model.safetensors shipped'),
      rank: 8,
      files: filesOf('shipped'),
    };
    await registerShipped(user.db, [shipped], new Date());
    const mode = api.services.catalog.mode('continue');
    const answer = await complete({ mode, input: { text: 'Once' } });
    expect(answer).toMatchObject({ adapterId: expect.any(String), dataThrough: 0 });
    expect(lastRequest()?.adapter?.sha256).toBe(shipped.sha256);
  });

  it('has the same text piece by piece', async () => {
    const events = await stream();
    const { text } = await complete();
    const chunks = events.filter((event) => event.kind === 'chunk');
    expect(chunks.map((chunk) => chunk.text).join('')).toBe(text);
    expect(chunks.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4]);
    const last = events.at(-1);
    expect(last).toMatchObject({ kind: 'done', completion: { text, id: chunks[0]?.completionId } });
  });

  it('is given once per clientId, also to calls at the same time', async () => {
    const clientId = randomUUID();
    const before = api.engine.requests.length;
    const answers = await Promise.all([
      complete({ clientId }),
      complete({ clientId }),
      complete({ clientId, input: { body: 'Something else' } }),
    ]);
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    expect(api.engine.requests.length).toBe(before + 1);
    const [answer] = answers;
    expect(await stream({ clientId })).toEqual([
      { kind: 'chunk', completionId: answer.id, index: 0, text: answer.text },
      { kind: 'done', completion: answer },
    ]);
  });

  it('is another one for the same clientId of another user', async () => {
    const clientId = randomUUID();
    const mine = await complete({ clientId });
    user = await newTrainee(database());
    expect((await complete({ clientId })).id).not.toBe(mine.id);
  });

  it('may be asked for again with its clientId after it has failed', async () => {
    const clientId = randomUUID();
    api.engine.failure = new AppError('OVERLOADED', 'later');
    await expect(complete({ clientId })).rejects.toMatchObject({ code: 'OVERLOADED' });
    api.engine.failure = null;
    expect(await complete({ clientId })).toMatchObject({ finishReason: 'STOP' });
  });

  it('keeps what there is of it when its caller leaves', async () => {
    api.engine.stall();
    const call = new AbortController();
    const answer = complete({}, call.signal);
    await api.engine.stalled();
    call.abort();
    expect(await answer).toMatchObject({
      text: 'The plumber',
      finishReason: 'CANCELLED',
      completionTokens: 2,
    });
    api.engine.letGo();
  });

  it('ends with what there is of it when its time is up, even for a caller with a clientId', async () => {
    api.engine.stall();
    const answer = await complete({ clientId: randomUUID(), deadlineMs: 20 });
    expect(answer).toMatchObject({ text: 'The plumber', finishReason: 'CANCELLED' });
    api.engine.letGo();
  });

  it('says how likely its tokens were to who asks with the call, and stores nothing of it', async () => {
    const clientId = randomUUID();
    const { logprobs } = await complete({ clientId, topLogprobs: 1, maxTokens: 2 });
    expect(logprobs).toEqual([
      { token: 'The', logprob: 0, topLogprobs: [{ token: 'The', logprob: 0 }] },
      { token: ' plumber', logprob: 0, topLogprobs: [{ token: ' plumber', logprob: 0 }] },
    ]);
    expect((await complete({ clientId, topLogprobs: 1 })).logprobs).toBeUndefined();
    expect((await complete()).logprobs).toBeUndefined();
  });

  it('is finished for a caller with a clientId, who may come back for it', async () => {
    const clientId = randomUUID();
    api.engine.stall();
    const call = new AbortController();
    const answer = complete({ clientId }, call.signal);
    await api.engine.stalled();
    call.abort();
    api.engine.letGo();
    expect(await answer).toMatchObject({ finishReason: 'STOP' });
    expect((await complete({ clientId })).id).toBe((await answer).id);
  });

  it('is given but not kept when a record is deleted meanwhile', async () => {
    const device = { deviceId: 'deleting', name: 'Phone', platform: 'test' };
    await registerDevice(api.services, user.userId, device);
    const push = (mutationId: number, data?: Json) =>
      pushChanges(api.services, user.userId, {
        deviceId: device.deviceId,
        changes: [
          {
            ...{ mutationId, source: 'notes', recordId: 'n', data, occurredAt: new Date() },
            kind: data === undefined ? 'DELETE' : 'UPSERT',
          },
        ],
      });
    await push(1, { text: 'a secret' });
    api.engine.stall();
    const underWay = complete({ clientId: 'under way' });
    await api.engine.stalled();
    await push(2);
    api.engine.letGo();
    expect(await underWay).toMatchObject({ text: 'The plumber comes on Friday', input: null });
    expect(await completionByClientId(user.db, user.userId, 'under way')).toBeNull();
    // what begins after the delete is kept
    const { id } = await complete({ clientId: 'afterwards' });
    expect(await completionById(user.db, user.userId, id)).toMatchObject({ id });
  });

  it('fails as the engine fails, and nothing is kept of it', async () => {
    api.engine.failure = new AppError('UNAVAILABLE', 'the engine died');
    await expect(complete()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(stream()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    api.engine.failure = null;
    const kept = await user.db
      .selectFrom('completions')
      .selectAll()
      .where('userId', '=', user.userId)
      .execute();
    expect(kept).toEqual([]);
  });
});
