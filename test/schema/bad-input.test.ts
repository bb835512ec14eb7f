// What callers get wrong: each mistake has a code and a message that names the value, and the server goes on.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { toGlobalId } from '../../src/lib/global-id.ts';
import type { ApiClient } from '../support/api/api-client.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { COMPLETE, input, mail, PUSH, phone, publish, REGISTER } from './fixture.ts';

const NOBODY = '00000000-0000-4000-8000-000000000000';

describeWithDatabase('a mistake in the input', (database) => {
  let api: Api;
  let client: ApiClient;
  beforeAll(async () => {
    api = await startApi(database());
    client = await api.client();
    await client.ask(REGISTER, { input: phone });
  });
  afterAll(() => api.close());

  const expectRefused = async (
    call: { query: string; variables?: Record<string, unknown> },
    code: string,
    message: string,
  ) => {
    const { errors } = await client.send(call.query, call.variables);
    expect(errors).toMatchObject([{ extensions: { code } }]);
    expect(errors[0]?.message).toContain(message);
    await client.ask('{ viewer { id } }');
  };

  const questions: readonly [string, object, string, string][] = [
    [
      'an unknown mode',
      { mode: 'sing' },
      'NOT_FOUND',
      'no mode "sing"; known modes: continue, reply, subject',
    ],
    ['an empty prompt', { input: { body: '' } }, 'BAD_INPUT', 'body'],
    [
      'a prompt of white space',
      { input: { body: ' \n ' } },
      'BAD_INPUT',
      'input.body must not be empty',
    ],
    ["another mode's input", { input: { text: 'x' } }, 'BAD_INPUT', 'mode "subject"'],
    ['no object as input', { input: 'hello' }, 'BAD_INPUT', 'mode "subject"'],
    ['no tokens', { maxTokens: 0 }, 'BAD_INPUT', 'maxTokens is 0: expected 1 or more'],
    ['negative tokens', { maxTokens: -5 }, 'BAD_INPUT', 'maxTokens is -5'],
    [
      'a negative temperature',
      { temperature: -0.1 },
      'BAD_INPUT',
      'temperature is -0.1: expected 0 or more',
    ],
    ['no probability', { topP: 0 }, 'BAD_INPUT', 'topP is 0'],
    [
      'too many alternatives',
      { topLogprobs: 21 },
      'BAD_INPUT',
      'topLogprobs is 21: expected 0 to 20',
    ],
    ['fewer alternatives than none', { topLogprobs: -1 }, 'BAD_INPUT', 'topLogprobs is -1'],
    ['no time', { deadlineMs: 0 }, 'BAD_INPUT', 'deadlineMs is 0: expected 1 or more'],
    [
      'too much probability',
      { topP: 1.5 },
      'BAD_INPUT',
      'topP is 1.5: expected more than 0 and at most 1',
    ],
    [
      'two adapters',
      { adapter: { base: true, sha256: 'x' } },
      'BAD_INPUT',
      'expected exactly one of sha256',
    ],
    ['no adapter', { adapter: {} }, 'BAD_INPUT', 'adapter is {}'],
    ['not the base', { adapter: { base: false } }, 'BAD_INPUT', 'adapter is {"base":false}'],
    ['unknown bytes', { adapter: { sha256: 'abc' } }, 'NOT_FOUND', 'sha256 is "abc"'],
    ['an unknown device', { adapter: { heldByDevice: 'tv' } }, 'NOT_FOUND', '"tv"'],
    ['an empty stop string', { stop: [''] }, 'BAD_INPUT', 'stop is ""'],
    ['a long stop string', { stop: ['x'.repeat(101)] }, 'BAD_INPUT', '1 to 100 characters'],
    [
      'many stop strings',
      { stop: Array(17).fill('x') },
      'BAD_INPUT',
      'stop is 17: expected at most 16',
    ],
    ['an empty clientId', { clientId: '' }, 'BAD_INPUT', 'clientId is ""'],
    ['a long clientId', { clientId: 'x'.repeat(201) }, 'BAD_INPUT', '1 to 200 characters'],
  ];
  it.each(questions)('is explained: to ask with %s', async (_, wrong, code, message) => {
    const variables = { input: { ...input, ...wrong } };
    await expectRefused({ query: COMPLETE, variables }, code, message);
    const query =
      'subscription ($input: CompleteInput!) { completionTokens(input: $input) { __typename } }';
    expect(await client.first(query, variables)).toMatchObject({
      errors: [{ message: expect.stringContaining(message), extensions: { code } }],
    });
  });

  const pushOf = (changes: readonly object[], deviceId = 'phone') => ({
    query: PUSH,
    variables: { input: { deviceId, changes } },
  });
  it('is explained: an unknown device', () =>
    expectRefused(pushOf([mail(1)], 'tv'), 'NOT_FOUND', '"tv"'));
  it('is explained: changes that skip a number', () =>
    expectRefused(pushOf([mail(1), mail(3)]), 'BAD_INPUT', 'mutationId'));
  it('is explained: a day that there is not', () =>
    expectRefused(
      pushOf([{ ...mail(1), occurredAt: '2026-02-30T00:00:00Z' }]),
      'BAD_INPUT',
      '2026-02-30',
    ));
  it('is explained: more changes than are taken', () =>
    expectRefused(
      pushOf(Array.from({ length: 1001 }, (_, i) => mail(i + 1))),
      'TOO_LARGE',
      'at most 1000',
    ));

  it('is explained: 100,000 changes, whether they are read or not', async () => {
    const long = Array.from({ length: 100_000 }, (_, i) => mail(i + 1));
    const { status, errors } = await client.send(PUSH, {
      input: { deviceId: 'phone', changes: long },
    });
    expect([status, errors[0]?.extensions.code]).toEqual([413, 'TOO_LARGE']);
    const short = {
      mutationId: 1,
      source: '',
      recordId: '',
      kind: 'DELETE',
      occurredAt: '2026-01-01T00:00:00Z',
    };
    const item = `{${Object.entries(short).map(([key, value]) => `${key}:${key === 'kind' ? value : JSON.stringify(value)}`)}}`;
    const inline = `mutation { pushChanges(input: {deviceId: "phone", changes: [${item.repeat(30_000)}]}) { __typename } }`;
    const refused = await client.send(inline);
    expect(refused.errors[0]?.extensions.code).toMatch(/TOO_LARGE|BAD_INPUT/);
  });

  it('is explained: a change of 10 MB', async () => {
    const change = { ...mail(1), data: { to: [], subject: 'x', body: 'x'.repeat(10_000_000) } };
    const { status, errors } = await client.send(PUSH, {
      input: { deviceId: 'phone', changes: [change] },
    });
    expect([status, errors[0]?.extensions.code]).toEqual([413, 'TOO_LARGE']);
    const { viewer } = await client.ask('{ viewer { devices { lastMutationId } } }');
    expect(viewer.devices).toEqual([{ lastMutationId: 0 }]);
  });

  it('is explained: a change of a source that there is not, without holding up the others', async () => {
    const other = await api.client();
    await other.ask(REGISTER, { input: phone });
    const changes = [{ ...mail(1), source: 'tv' }, mail(2)];
    const { pushChanges } = await other.ask(PUSH, { input: { deviceId: 'phone', changes } });
    expect(pushChanges.results).toMatchObject([
      { outcome: 'REJECTED', reason: expect.stringContaining('"tv"') },
      { outcome: 'APPLIED' },
    ]);
  });

  const ids = [
    'nonsense',
    '',
    toGlobalId('Adapter', NOBODY),
    toGlobalId('Completion', NOBODY),
    toGlobalId('Mode', 'sing'),
    Buffer.from("Adapter:' or 1=1 --").toString('base64url'),
  ];
  it.each(ids)('is explained: the id %j, wherever it is given', async (id) => {
    const calls = [
      'query ($id: ID!) { node(id: $id) { id } }',
      'mutation ($id: ID!) { rollbackAdapter(adapterId: $id) { id } }',
      'mutation ($id: ID!) { acknowledgeAdapter(input: {deviceId: "phone", adapterId: $id, state: INSTALLED}) { id } }',
      'mutation ($id: ID!) { rateCompletion(input: {completionId: $id, verdict: UP}) { id } }',
      `mutation ($id: ID!) { reportCompletion(input: {deviceId: "phone", clientId: "c", mode: "subject",
        input: {body: "x"}, text: "x", adapterId: $id}) { id } }`,
    ];
    for (const query of calls) {
      await expectRefused({ query, variables: { id } }, 'NOT_FOUND', '');
    }
  });

  const pages: readonly [string, string][] = [
    ['first: -1', 'first is -1'],
    ['first: 101', 'first is 101'],
    ['first: 1, last: 1', 'not a mixture'],
    ['after: "nonsense"', 'after is "nonsense"'],
    ['before: ""', 'before is ""'],
  ];
  it.each(pages)('is explained: a page with %s', async (args, message) => {
    for (const list of ['records', 'completions']) {
      await expectRefused(
        { query: `{ viewer { ${list}(${args}) { edges { cursor } } } }` },
        'BAD_INPUT',
        message,
      );
    }
    const query = `{ viewer { mode(key: "subject") { runs(${args}) { edges { cursor } } } } }`;
    await expectRefused({ query }, 'BAD_INPUT', message);
  });

  it('is explained: a list of a source or a mode that there is not', async () => {
    const records = '{ viewer { records(source: "tv") { edges { cursor } } } }';
    await expectRefused({ query: records }, 'NOT_FOUND', 'no source "tv"; known sources: contacts');
    const completions = '{ viewer { completions(mode: "tv") { edges { cursor } } } }';
    await expectRefused({ query: completions }, 'NOT_FOUND', 'no mode "tv"; known modes: continue');
  });

  it('is explained: a page of the feed with no events', () =>
    expectRefused(
      { query: '{ viewer { adapterFeed(first: 0) { __typename } } }' },
      'BAD_INPUT',
      'first is 0',
    ));

  it('is explained: ratings that say nothing, or prefer an answer to something else', async () => {
    const RATE = 'mutation ($input: RateCompletionInput!) { rateCompletion(input: $input) { id } }';
    const { complete } = await client.ask(COMPLETE, { input });
    const other = await client.ask(COMPLETE, { input: { ...input, input: { body: 'Else' } } });
    const rate = (rating: object) => ({
      query: RATE,
      variables: { input: { completionId: complete.id, ...rating } },
    });
    await expectRefused(rate({}), 'BAD_INPUT', 'says nothing');
    await expectRefused(
      rate({ preferredCompletionId: other.complete.id }),
      'BAD_INPUT',
      'another input',
    );
    await expectRefused(rate({ preferredCompletionId: complete.id }), 'BAD_INPUT', 'itself');
  });

  it('is explained: to install what was revoked, or to take it back', async () => {
    await publish(api, client, 'one');
    await publish(api, client, 'two');
    const LIST =
      '{ viewer { mode(key: "subject") { adapters { edges { node { id status } } } } } }';
    const { edges } = (await client.ask(LIST)).viewer.mode.adapters;
    const [live, older] = edges.map(({ node }: { node: { id: string } }) => node.id);
    const ROLLBACK = 'mutation ($id: ID!) { rollbackAdapter(adapterId: $id) { id } }';
    await expectRefused(
      { query: ROLLBACK, variables: { id: live } },
      'CONFLICT',
      'it is the live one',
    );
    await client.ask(ROLLBACK, { id: older });
    await expectRefused({ query: ROLLBACK, variables: { id: live } }, 'CONFLICT', 'it was revoked');
    const query =
      'mutation ($id: ID!) { acknowledgeAdapter(input: {deviceId: "phone", adapterId: $id, state: INSTALLED}) { id } }';
    await expectRefused({ query, variables: { id: live } }, 'CONFLICT', 'REVOKED');
  });

  it.each(['\u0000', '\ud800'])(
    'is explained: a text with the character %j in any place',
    async (flaw) => {
      const text = `a${flaw}b`;
      const id = toGlobalId('Adapter', NOBODY);
      const calls = [
        { query: REGISTER, variables: { input: { deviceId: text, name: text, platform: text } } },
        pushOf([mail(1)], text),
        { query: COMPLETE, variables: { input: { ...input, mode: text } } },
        { query: COMPLETE, variables: { input: { ...input, input: { body: text } } } },
        { query: COMPLETE, variables: { input: { ...input, clientId: text } } },
        { query: COMPLETE, variables: { input: { ...input, adapter: { sha256: text } } } },
        { query: COMPLETE, variables: { input: { ...input, adapter: { heldByDevice: text } } } },
        {
          query: 'query ($t: String!) { viewer { mode(key: $t) { id } } }',
          variables: { t: text },
        },
        {
          query: 'query ($t: String!) { viewer { records(source: $t) { edges { cursor } } } }',
          variables: { t: text },
        },
        {
          query: 'query ($t: String!) { viewer { completions(mode: $t) { edges { cursor } } } }',
          variables: { t: text },
        },
        { query: 'query ($t: ID!) { node(id: $t) { id } }', variables: { t: text } },
        { query: 'mutation ($t: String!) { retrain(mode: $t) { id } }', variables: { t: text } },
        {
          query:
            'mutation ($t: ID!, $id: ID!) { acknowledgeAdapter(input: {deviceId: $t, adapterId: $id, state: FAILED}) { id } }',
          variables: { t: text, id },
        },
      ];
      for (const { query, variables } of calls) {
        const { errors } = await client.send(query, variables);
        expect(errors[0]?.extensions.code, query).toMatch(/^(BAD_INPUT|NOT_FOUND)$/);
      }
    },
  );
});
