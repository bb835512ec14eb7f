import { issueToken } from '../auth/tokens.ts';
import { type Config, keysDirOf } from '../config.ts';
import { systemClock } from '../lib/clock.ts';
import type { App } from './app.ts';

const DEMO_USER = 'demo';

/** What a new user sees once the server runs: where it is, a token, and commands that work as they are pasted. */
export async function bannerOf(app: App, config: Config): Promise<string> {
  const token = await issueToken(keysDirOf(config), DEMO_USER, systemClock);
  const call = (query: string) =>
    [
      `curl -s ${app.url}/graphql -H 'content-type: application/json' \\`,
      `  -H 'authorization: Bearer ${token}' \\`,
      `  -d '${JSON.stringify({ query })}'`,
    ].join('\n');
  return [
    '',
    `Attune is running at ${app.url} on the base model ${app.base.name}.`,
    '',
    `Query editor, signed in as ${DEMO_USER}:`,
    `${app.url}/graphql#token=${token}`,
    '',
    `Token of the user ${DEMO_USER}:`,
    token,
    '',
    'Which modes are there, and what do they know?',
    call(MODES),
    '',
    'A subject line for a mail:',
    call(COMPLETE),
    '',
    'A phone that sends its first mail:',
    call(PUSH),
    '',
    `Tokens for other users: npm run -s attune -- token --user NAME`,
    '',
    '',
  ].join('\n');
}

const MODES = '{ viewer { modes { key title upToDateThrough adapter { version } } } }';

const COMPLETE =
  'mutation { complete(input: {mode: "subject", input: {body: "The plumber comes on Friday at nine. Can you let him in?"}}) { text adapter { version } } }';

const PUSH = [
  'mutation {',
  'registerDevice(input: {deviceId: "phone", name: "My phone", platform: "curl"}) { id }',
  'pushChanges(input: {deviceId: "phone", changes: [{mutationId: 1, source: "mail.sent", recordId: "mail-1", kind: UPSERT,',
  'data: {to: ["ann@example.org"], subject: "Plumber on Friday", body: "The plumber comes on Friday at nine. Can you let him in?"},',
  'occurredAt: "2026-01-01T09:00:00Z"}]}) {',
  '... on PushAccepted { lastMutationId results { outcome } affectedModes { key } }',
  '... on PushGap { expectedMutationId } } }',
].join(' ');
