import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { COMPLETE, input, phone, REGISTER } from '../schema/fixture.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';

const REPORT =
  'mutation ($input: ReportCompletionInput!) { reportCompletion(input: $input) { id text } }';
const RATE = `mutation ($input: RateCompletionInput!) {
  rateCompletion(input: $input) { id rating { verdict } } }`;
const STORED = '{ viewer { completions { edges { node { id text } } } } }';

describeWithDatabase('a server that keeps no answers', (database) => {
  let api: Api;
  beforeAll(async () => {
    api = await startApi(database(), systemClock, undefined, { storesCompletions: false });
  });
  afterAll(() => api.close());

  it('tells each answer once and leaves no trace of it, so that it cannot be rated', async () => {
    const client = await api.client();
    const { complete } = await client.ask(COMPLETE, { input: { ...input, clientId: 'once' } });
    expect(complete).toMatchObject({ mode: { key: 'subject' }, finishReason: 'STOP' });
    expect(complete.text).not.toBe('');
    expect((await client.ask(STORED)).viewer.completions.edges).toEqual([]);
    const rows = await database().kysely.selectFrom('completions').select('id').execute();
    expect(rows).toEqual([]);
    const rating = { completionId: complete.id, verdict: 'UP' };
    const { errors } = await client.send(RATE, { input: rating });
    expect(errors[0]?.extensions.code).toBe('NOT_FOUND');
  });

  it('keeps the answer that a device reports, and its rating', async () => {
    const client = await api.client();
    await client.ask(REGISTER, { input: phone });
    const { complete } = await client.ask(COMPLETE, { input });
    const report = { deviceId: 'phone', clientId: 'kept', ...input, text: complete.text };
    const { reportCompletion } = await client.ask(REPORT, { input: report });
    const rating = { completionId: reportCompletion.id, verdict: 'DOWN' };
    const { rateCompletion } = await client.ask(RATE, { input: rating });
    expect(rateCompletion.rating).toEqual({ verdict: 'DOWN' });
    const { viewer } = await client.ask(STORED);
    const kept = { id: reportCompletion.id, text: complete.text };
    expect(viewer.completions.edges).toEqual([{ node: kept }]);
  });
});
