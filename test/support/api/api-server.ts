// The real server on a real database, with an engine that only pretends: what tests of the API talk to.

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Services } from '../../../schema/context.ts';
import { buildSchema } from '../../../schema/schema.ts';
import type { AdapterStore } from '../../../src/adapters/store.ts';
import { Uploads } from '../../../src/adapters/uploads.ts';
import { openAnswers } from '../../../src/answers/answers.ts';
import type { Authenticator } from '../../../src/auth/token-claims.ts';
import { issueToken, openAuthenticator, type TokenClaims } from '../../../src/auth/tokens.ts';
import { openRevokedDevices } from '../../../src/changes/revoked-devices.ts';
import { forgetRecords } from '../../../src/dataset/forget-records.ts';
import { noteStates } from '../../../src/dataset/past-inputs.ts';
import type { Database } from '../../../src/db/database.ts';
import { vaultOf } from '../../../src/db/sealed-columns.ts';
import { type Clock, systemClock } from '../../../src/lib/clock.ts';
import { sha256 } from '../../../src/lib/sha256.ts';
import { openLocalWakeups, type Wakeups } from '../../../src/lib/wakeups.ts';
import type { Base } from '../../../src/model/base/base-package.ts';
import type { Tokenizer } from '../../../src/model/tokenizer/tokenizer.ts';
import type { ModeCatalog } from '../../../src/modes/mode.ts';
import { startServer } from '../../../src/server.ts';
import { readCursorSecret } from '../../../src/sync/cursor.ts';
import { openManifestKeys } from '../../../src/sync/manifest-keys.ts';
import type { OnOperation } from '../../../src/transport/operation-gate.ts';
import { type Protection, protectionWith } from '../../../src/transport/protection.ts';
import { fullStore } from '../../adapters/fixture.ts';
import { FakeEngine } from '../inference/fake-engine.ts';
import { loadShippedModes } from '../test-user.ts';
import { ApiClient } from './api-client.ts';

/** A base of which only the name matters. */
export const FAKE_BASE: Base = {
  dir: '/nowhere',
  sha256: sha256('base'),
  name: 'fake',
  files: [{ name: 'tokenizer.json', sizeBytes: 2, sha256: sha256('{}') }],
  config: {
    hiddenSize: 4,
    layerCount: 1,
    headCount: 1,
    kvHeadCount: 1,
    headSize: 4,
    intermediateSize: 4,
    vocabSize: 256,
    rmsEps: 1e-5,
    ropeTheta: 10_000,
    ropeScaling: null,
    contextLength: 128,
    tiedEmbeddings: true,
    bosTokenId: null,
    eosTokenIds: [0],
  },
};

/** A token per character. */
const CHARACTER_TOKENIZER: Tokenizer = {
  encode: (text) => [...text].map((character) => character.codePointAt(0) ?? 0),
  decode: (ids) => String.fromCodePoint(...ids),
  applyChatTemplate: (messages) => messages.map(({ content }) => content).join('\n'),
  encodeChat: (messages) =>
    [...messages.map(({ content }) => content).join('\n')].map((c) => c.codePointAt(0) ?? 0),
  eosTokenIds: [0],
  bosTokenId: null,
  vocabSize: 0x110000,
  stream: () => ({ push: (id) => String.fromCodePoint(id), end: () => '' }),
  vocabulary: () => new Map(),
};

/** A running server and its parts. */
export interface Api {
  readonly url: string;
  readonly services: Services;
  readonly engine: FakeEngine;
  /** Every line that the server has logged. */
  readonly log: readonly string[];
  /** What became of every operation. */
  readonly outcomes: readonly Parameters<OnOperation>[0][];
  readonly token: (user: string, claims?: TokenClaims) => Promise<string>;
  /** A client of that user, or of a new one. */
  readonly client: (user?: string) => Promise<ApiClient>;
  /** How many WebSockets are open. */
  countSockets(): number;
  close(): Promise<void>;
}

/** What a test may bring along: its protection, other tokens than the server's own, wakeups that it shares. */
interface Given extends Partial<Protection> {
  readonly authenticator?: Authenticator;
  readonly wakeups?: Wakeups;
  readonly storesCompletions?: boolean;
  /** Other modes than the shipped ones. */
  readonly catalog?: ModeCatalog;
}

/** Starts a server on the database. */
export async function startApi(
  database: Database,
  clock: Clock = systemClock,
  store: AdapterStore = fullStore,
  given: Given = {},
): Promise<Api> {
  const { wakeups = openLocalWakeups(), authenticator, storesCompletions, ...more } = given;
  const { catalog = await loadShippedModes(), ...protection } = more;
  const dataDir = await mkdtemp(join(tmpdir(), 'attune-api-'));
  const engine = new FakeEngine();
  const manifestKeys = await openManifestKeys(dataDir);
  const log: string[] = [];
  const outcomes: Parameters<OnOperation>[0][] = [];
  const parts = {
    ...(await servicesOf(database, {
      engine,
      clock,
      wakeups,
      dataDir,
      catalog,
      storesCompletions,
    })),
    ...{ store, manifestKeys, wakeups },
  };
  const onError = (error: unknown) => log.push(String(error));
  const revokedDevices = await openRevokedDevices({ ...parts, onError });
  const services = { ...parts, revokedDevices };
  const server = await startServer({
    host: '127.0.0.1',
    port: 0,
    schema: buildSchema(),
    services,
    protection: protectionWith(protection),
    authenticator: authenticator ?? (await openAuthenticator(dataDir, systemClock)),
    onOperation: (outcome) => outcomes.push(outcome),
    logger: pino({ level: 'debug' }, { write: (line: string) => log.push(line) }),
  });
  const token = (user: string, claims?: TokenClaims) =>
    issueToken(dataDir, user, systemClock, claims);
  return {
    url: server.url,
    services,
    engine,
    log,
    outcomes,
    token,
    client: async (user = randomUUID()) => new ApiClient(server.url, await token(user)),
    countSockets: server.countSockets,
    close: async () => {
      await server.close();
      await revokedDevices.close();
      await services.wakeups.close();
      await rm(dataDir, { recursive: true });
    },
  };
}

async function servicesOf(
  database: Database,
  given: {
    readonly engine: FakeEngine;
    readonly clock: Clock;
    readonly wakeups: Wakeups;
    readonly dataDir: string;
    readonly catalog: ModeCatalog;
    readonly storesCompletions: boolean | undefined;
  },
): Promise<Omit<Services, 'manifestKeys' | 'revokedDevices'>> {
  const db = database.kysely;
  const parts = {
    db,
    base: FAKE_BASE,
    baseSha256: FAKE_BASE.sha256,
    store: fullStore,
    ...given,
    tokenizer: CHARACTER_TOKENIZER,
  };
  return {
    ...parts,
    answers: openAnswers({ ...parts, storesCompletions: given.storesCompletions ?? true }),
    cursorSecret: await readCursorSecret(db),
    onOverwrite: (tx, userId, states) => noteStates(parts.catalog, tx, userId, states),
    onDelete: (tx, userId, records) => forgetRecords(parts, tx, userId, records),
    countTokens: () => ({ promptTokens: 1, completionTokens: 1 }),
    uploads: new Uploads(join(given.dataDir, 'uploads'), given.clock, vaultOf(db)),
    workDir: join(given.dataDir, 'work'),
    // as good as the base
    probe: () => Promise.resolve({ tokens: 10, candidate: 20, base: 20 }),
    trainingFiles: new Map(),
  };
}
