// Every query, mutation and subscription once as an app would use it; the stages behind them have tests of their own.

import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { must } from '../../src/lib/errors.ts';
import { fromGlobalId } from '../../src/lib/global-id.ts';
import { runsTopic } from '../../src/lib/wakeups.ts';
import { claimRun, endRun, reportProgress } from '../../src/runs/run.ts';
import type { ApiClient } from '../support/api/api-client.ts';
import { type Api, FAKE_BASE, startApi } from '../support/api/api-server.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { NOW } from '../support/test-user.ts';
import { progressAt } from '../support/training/pretend-trainer.ts';
import { COMPLETE, input, mail, PUSH, phone, publish, REGISTER } from './fixture.ts';

describeEachDatabase('the API', (database) => {
  let api: Api;
  let client: ApiClient;
  beforeAll(async () => {
    api = await startApi(database());
  });
  afterAll(() => api.close());
  beforeEach(async () => {
    client = await api.client();
  });

  it('shows a new user every mode, with nothing learned yet', async () => {
    const { viewer } =
      await client.ask(`{ viewer { modes { id key title description sources objective
      base { id name sha256 files { name url sizeBytes sha256 } } adapter { id } shippedAdapter { id }
      adapters { edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }
      dataset { id } upToDateThrough runs { edges { cursor } } } mode(key: "reply") { key sources } } }`);
    expect(viewer.modes.map(({ key }: { key: string }) => key)).toEqual([
      'continue',
      'reply',
      'subject',
    ]);
    expect(viewer.mode).toEqual({ key: 'reply', sources: ['mail.sent', 'contacts'] });
    expect(viewer.modes[2]).toMatchObject({
      title: 'Subject line',
      sources: ['mail.sent'],
      objective: 'SFT_THEN_DPO',
      base: {
        name: 'fake',
        sha256: FAKE_BASE.sha256,
        files: [
          {
            name: 'tokenizer.json',
            url: `/models/${FAKE_BASE.sha256}/tokenizer.json`,
            sizeBytes: 2,
          },
        ],
      },
      adapter: null,
      shippedAdapter: null,
      adapters: {
        edges: [],
        pageInfo: {
          hasNextPage: false,
          hasPreviousPage: false,
          startCursor: null,
          endCursor: null,
        },
      },
      dataset: null,
      upToDateThrough: 0,
      runs: { edges: [] },
    });
  });

  it('takes changes from a device and shows the records', async () => {
    const { registerDevice } = await client.ask(REGISTER, { input: phone });
    expect(registerDevice).toMatchObject({ ...phone, lastMutationId: 0, held: [] });
    const changes = [
      mail(1),
      { ...mail(2), data: { to: [] } },
      { ...mail(3), kind: 'DELETE', data: null },
    ];
    const { pushChanges } = await client.ask(PUSH, { input: { deviceId: 'phone', changes } });
    expect(pushChanges).toMatchObject({
      __typename: 'PushAccepted',
      lastMutationId: 3,
      results: [
        { mutationId: 1, outcome: 'APPLIED', reason: null, changeSeq: 1 },
        { mutationId: 2, outcome: 'REJECTED', reason: expect.stringContaining('subject') },
        { mutationId: 3, outcome: 'APPLIED', changeSeq: 2 },
      ],
    });
    expect(pushChanges.affectedModes.map(({ key }: { key: string }) => key).sort()).toEqual([
      'continue',
      'reply',
      'subject',
    ]);
    const gap = await client.ask(PUSH, { input: { deviceId: 'phone', changes: [mail(9)] } });
    expect(gap.pushChanges).toEqual({ __typename: 'PushGap', expectedMutationId: 4 });
    const { viewer } =
      await client.ask(`{ viewer { devices { deviceId lastMutationId } records(source: "mail.sent") {
      edges { cursor node { id source recordId data changeSeq occurredAt } } pageInfo { hasNextPage } } } }`);
    expect(viewer.devices).toEqual([{ deviceId: 'phone', lastMutationId: 3 }]);
    expect(viewer.records.edges).toEqual([
      {
        cursor: expect.any(String),
        node: {
          id: expect.any(String),
          source: 'mail.sent',
          recordId: 'mail-1',
          data: mail(1).data,
          changeSeq: 1,
          occurredAt: '2026-01-02T03:04:05.000Z',
        },
      },
    ]);
  });

  it('answers in one piece and piece by piece, with the same text', async () => {
    const { complete } = await client.ask(COMPLETE, { input });
    expect(complete).toMatchObject({
      text: 'The plumber comes on Friday',
      mode: { key: 'subject' },
      input: input.input,
      adapter: null,
      dataThrough: null,
      completionTokens: 5,
      finishReason: 'STOP',
      rating: null,
    });
    const socket = client.socket();
    const pieces: string[] = [];
    const events = socket.iterate({
      query: `subscription ($input: CompleteInput!) { completionTokens(input: $input) { __typename
        ... on CompletionChunk { completionId index text } ... on CompletionDone { completion { id text } } } }`,
      variables: { input },
    });
    for await (const { data } of events) {
      // biome-ignore lint/suspicious/noExplicitAny: one of two shapes
      const event = data?.completionTokens as any;
      if (event.__typename === 'CompletionChunk') {
        expect(event.index).toBe(pieces.length);
        pieces.push(event.text);
      } else {
        expect(event.completion.text).toBe(pieces.join(''));
      }
    }
    expect(pieces.join('')).toBe(complete.text);
    await socket.dispose();
  });

  it('keeps the answers, of server and devices, and what the user thought of them', async () => {
    await client.ask(REGISTER, { input: phone });
    const { complete } = await client.ask(COMPLETE, { input });
    const report = { deviceId: 'phone', clientId: 'c-1', ...input, text: 'Plumber on Friday' };
    const { reportCompletion } = await client.ask(
      'mutation ($input: ReportCompletionInput!) { reportCompletion(input: $input) { id text adapter { id } } }',
      { input: report },
    );
    const { rateCompletion } = await client.ask(
      'mutation ($input: RateCompletionInput!) { rateCompletion(input: $input) { id rating { verdict better ratedAt } } }',
      {
        input: {
          completionId: complete.id,
          verdict: 'DOWN',
          better: 'Friday',
          preferredCompletionId: reportCompletion.id,
        },
      },
    );
    expect(rateCompletion.rating).toMatchObject({ verdict: 'DOWN', better: 'Friday' });
    const { viewer } = await client.ask(
      '{ viewer { completions(mode: "subject") { edges { node { id text rating { verdict } createdAt } } } } }',
    );
    expect(viewer.completions.edges).toMatchObject([
      { node: { id: reportCompletion.id, text: 'Plumber on Friday', rating: null } },
      { node: { id: complete.id, rating: { verdict: 'DOWN' } } },
    ]);
  });

  it('queues a rebuild and tells how it goes', async () => {
    const socket = client.socket();
    const runs = socket.iterate({
      query:
        'subscription { trainingRuns(mode: "subject") { id status progress step totalSteps mode { key } queuedAt startedAt finishedAt } }',
    });
    const coming = runs.next();
    await socket.iterate({ query: '{ viewer { id } }' }).next();
    const RETRAIN = 'mutation { retrain(mode: "subject") { id status } }';
    const { retrain } = await client.ask(RETRAIN);
    expect(await client.ask(RETRAIN)).toEqual({ retrain });
    expect((await coming).value?.data).toMatchObject({
      trainingRuns: {
        id: retrain.id,
        status: 'QUEUED',
        progress: 0,
        mode: { key: 'subject' },
        startedAt: null,
      },
    });
    await runs.return?.();
    await socket.dispose();
    const { viewer } = await client.ask(
      '{ viewer { mode(key: "subject") { runs(last: 1) { edges { node { id } } } } } }',
    );
    expect(viewer.mode.runs.edges).toEqual([{ node: { id: retrain.id } }]);
  });

  it('tells every step of a run, and why it ended', async () => {
    const { db, wakeups } = api.services;
    const socket = client.socket();
    const runs = socket.iterate({
      query: `subscription { trainingRuns(mode: "subject") { status progress step totalSteps loss losses
        learningRate tokensPerSecond secondsLeft reason adapter { id } startedAt finishedAt } }`,
    });
    const { viewer } = await client.ask('{ viewer { id } }');
    const userId = fromGlobalId(viewer.id)?.id ?? '';
    const states: unknown[] = [];
    const look = async () => {
      wakeups.wake(runsTopic(userId));
      states.push((await runs.next()).value?.data?.trainingRuns);
    };
    await client.ask('mutation { retrain(mode: "subject") { id } }');
    await look();
    const claim = must(await claimRun(db, { userId, mode: 'subject' }, NOW), 'a run is due');
    await look();
    await reportProgress(db, claim, { ...progressAt(1, 4), losses: [2.5] });
    await look();
    const newest = { learningRate: 0.25, tokensPerSecond: 640, secondsLeft: 1.5 };
    await reportProgress(db, claim, { ...progressAt(2, 4), losses: [2.5, 1.5], ...newest });
    await look();
    await endRun(db, claim, { status: 'FAILED', reason: 'the loss exploded', now: NOW });
    await look();
    await runs.return?.();
    await socket.dispose();
    const unknown = { loss: null, learningRate: null, tokensPerSecond: null, secondsLeft: null };
    const none = { progress: 0, step: 0, totalSteps: 0, losses: [], ...unknown };
    const open = { reason: null, adapter: null, finishedAt: null };
    const startedAt = NOW.toISOString();
    const losses = [2.5, 1.5];
    const second = { progress: 0.5, step: 2, totalSteps: 4, loss: 1.5, losses, ...newest };
    expect(states).toEqual([
      { status: 'QUEUED', ...none, ...open, startedAt: null },
      { status: 'RUNNING', ...none, ...open, startedAt },
      {
        ...{ status: 'RUNNING', progress: 0.25, step: 1, totalSteps: 4, loss: 2.5, losses: [2.5] },
        ...{ learningRate: 0.001, tokensPerSecond: 50, secondsLeft: 6, ...open, startedAt },
      },
      { status: 'RUNNING', ...second, ...open, startedAt },
      {
        ...{ status: 'FAILED', ...second, ...open, startedAt, finishedAt: startedAt },
        ...{ secondsLeft: null, reason: 'the loss exploded' },
      },
    ]);
  });

  it('finds every object again by its id', async () => {
    await client.ask(REGISTER, { input: phone });
    await client.ask(PUSH, { input: { deviceId: 'phone', changes: [mail(1)] } });
    await publish(api, client, 'one');
    await client.ask(COMPLETE, { input });
    const { viewer } = await client.ask(`{ viewer { __typename id devices { __typename id }
      records { edges { node { __typename id } } } completions { edges { node { __typename id } } }
      mode(key: "subject") { __typename id base { __typename id } adapter { __typename id run { __typename id } } } } }`);
    const objects = collectObjects(viewer);
    expect(objects.map(({ __typename }) => __typename).sort()).toEqual([
      'Adapter',
      'BaseModel',
      'Completion',
      'Device',
      'Mode',
      'Record',
      'TrainingRun',
      'User',
    ]);
    for (const { __typename, id } of objects) {
      expect(
        await client.ask('query ($id: ID!) { node(id: $id) { __typename id } }', { id }),
      ).toEqual({
        node: { __typename, id },
      });
    }
  });
});

interface Identified {
  readonly __typename: string;
  readonly id: string;
}

function collectObjects(value: unknown): Identified[] {
  if (typeof value !== 'object' || value === null) return [];
  const inner = Object.values(value).flatMap(collectObjects);
  return 'id' in value ? [value as Identified, ...inner] : inner;
}
