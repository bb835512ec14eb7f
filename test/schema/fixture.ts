import { publishAdapter } from '../../src/adapters/publish.ts';
import { liveAdapter } from '../../src/adapters/registry.ts';
import type { AdapterRow } from '../../src/db/schema.ts';
import { fromGlobalId } from '../../src/lib/global-id.ts';
import { candidateOf } from '../adapters/fixture.ts';
import type { ApiClient } from '../support/api/api-client.ts';
import type { Api } from '../support/api/api-server.ts';

export const REGISTER =
  'mutation ($input: RegisterDeviceInput!) { registerDevice(input: $input) { id deviceId name platform lastMutationId lastSeenAt held { since } } }';
export const PUSH = `mutation ($input: PushChangesInput!) { pushChanges(input: $input) { __typename
  ... on PushAccepted { lastMutationId results { mutationId outcome reason changeSeq } affectedModes { key } }
  ... on PushGap { expectedMutationId } } }`;
export const COMPLETE = `mutation ($input: CompleteInput!) { complete(input: $input) {
  id text mode { key } input adapter { id } dataThrough promptTokens completionTokens finishReason rating { ratedAt } } }`;
export const EVENT = `__typename ... on AdapterReady { cursor adapter { id version } }
  ... on AdapterRevoked { cursor adapterId modeKey reason }`;

export const phone = { deviceId: 'phone', name: 'My phone', platform: 'test' };
export const mail = (mutationId: number, subject = 'Friday') => ({
  mutationId,
  source: 'mail.sent',
  recordId: `mail-${mutationId}`,
  kind: 'UPSERT',
  data: { to: ['ann@example.org'], subject, body: 'The plumber comes on Friday.' },
  occurredAt: '2026-01-02T03:04:05Z',
});
export const input = { mode: 'subject', input: { body: 'The plumber comes on Friday.' } };

/** Publishes made-up bytes for the client's user, as a training run of mode `subject` would. */
export async function publish(api: Api, client: ApiClient, content: string): Promise<AdapterRow> {
  const { db } = api.services;
  const { viewer } = await client.ask('{ viewer { id } }');
  const userId = fromGlobalId(viewer.id)?.id ?? '';
  const run = { userId, mode: 'subject', status: 'RUNNING' as const, forced: false };
  const progress = { losses: '[3.5,2.5]', step: 2, totalSteps: 4, attempt: 1 };
  const { id: runId } = await db
    .insertInto('runs')
    .values({ ...run, ...progress, queuedAt: new Date() })
    .returning('id')
    .executeTakeFirstOrThrow();
  const parentId = (await liveAdapter(db, userId, 'subject'))?.id ?? null;
  const claim = { runId, attempt: 1, userId, mode: 'subject' };
  return publishAdapter(api.services, claim, candidateOf(content, { parentId }));
}
