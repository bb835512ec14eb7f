// A server: opens every part in the order in which they need each other, and closes them in the opposite one.

import type { Services } from '../../schema/context.ts';
import { buildSchema } from '../../schema/schema.ts';
import { engineAdapter, openAnswers } from '../answers/answers.ts';
import { openJwksAuthenticator } from '../auth/jwks.ts';
import type { Authenticator } from '../auth/token-claims.ts';
import { openAuthenticator } from '../auth/tokens.ts';
import { openRevokedDevices, type RevokedDevices } from '../changes/revoked-devices.ts';
import { type Config, keysDirOf } from '../config.ts';
import { forgetRecords } from '../dataset/forget-records.ts';
import { noteStates } from '../dataset/past-inputs.ts';
import type { AdapterRow } from '../db/schema.ts';
import { vaultOf } from '../db/sealed-columns.ts';
import { type Engine, startEngine } from '../inference/engine-client.ts';
import { systemClock } from '../lib/clock.ts';
import { checkAddress } from '../lib/listen.ts';
import { type Base, loadTokenizer } from '../model/base/base-package.ts';
import { deviceFiles } from '../model/decode/decode-package.ts';
import type { Tokenizer } from '../model/tokenizer/tokenizer.ts';
import { type OpenDeployment, runCommand } from '../operations/commands.ts';
import { openControl } from '../operations/control.ts';
import { startHealthServer } from '../operations/health-server.ts';
import { measuredEngine } from '../operations/measured-engine.ts';
import { startServer } from '../server.ts';
import { readCursorSecret } from '../sync/cursor.ts';
import { openManifestKeys } from '../sync/manifest-keys.ts';
import { type Closable, Closers } from './closers.ts';
import { openHousekeeping } from './housekeeping.ts';
import { type DeviceTrainingParts, openDeviceTraining } from './open-device-training.ts';
import { openOperations } from './open-operations.ts';
import { openJobs, openParts, type Parts, type StartOptions } from './open-parts.ts';
import { openProtection } from './open-protection.ts';

/** A running server. */
export interface App {
  readonly url: string;
  readonly base: Base;
  /** Ends everything within a few seconds; runs that were training wait again. */
  close(): Promise<void>;
}

/** What a server does. */
export interface AppOptions extends StartOptions {
  /** Whether it trains as well; otherwise it leaves that to other processes on its database. */
  readonly trains: boolean;
}

/** Opens everything, ready to be asked when it resolves. When something cannot be opened, or the signal aborts, closes
 *  what is open already and rejects. */
export async function startApp(config: Config, options: AppOptions): Promise<App> {
  const opened = new Closers();
  try {
    await checkAddress(config);
    const parts = await openParts(config, options, opened);
    const engine = opened.add(await openEngine(config, parts, options));
    const { trains, logger } = options;
    opened.add(
      await openJobs(config, parts, {
        ...{ relays: true, trains, logger },
        onPublished: (adapter) => warm(engine, parts, adapter),
      }),
    );
    const onTidying = (err: unknown) => logger.error({ err }, 'cannot tidy up yet');
    opened.add(openHousekeeping(parts, onTidying));
    const tokenizer = await loadTokenizer(parts.base);
    const manifestKeys = await openManifestKeys(keysDirOf(config));
    const revokedDevices = opened.add(await openRevoked(parts, logger));
    revokedDevices.onErased((userId) => {
      vaultOf(parts.db).forget(userId);
      engine.forget(userId);
    });
    const own = await servicesOf(config, parts, { engine, tokenizer });
    const training = opened.add(await openDeviceTraining(config, parts));
    const onLive = (adapter: AdapterRow) =>
      void warm(engine, parts, adapter).catch((err: unknown) =>
        logger.error({ err }, 'an adapter cannot be loaded before it is asked for'),
      );
    const services = { ...own, ...training, manifestKeys, revokedDevices, onLive };
    const operations = opened.add(
      openOperations(config, { ...parts, logger }, { engine, tokenizer }),
    );
    const { host, port, healthPort } = config;
    if (healthPort !== undefined) {
      opened.add(await startHealthServer({ host, port: healthPort }, operations.router));
    }
    const authenticator = await openTokens(config, logger);
    const onError = (err: unknown) => logger.error({ err }, 'Redis failed; rates count by server');
    const protection = await openProtection(config, onError, opened);
    if (parts.database.kind === 'pglite') opened.add(await openCommands(config, parts));
    options.signal.throwIfAborted();
    const server = opened.add(
      await startServer({
        ...{ host, port },
        schema: buildSchema(),
        ...(healthPort === undefined && { operations: operations.router }),
        onOperation: (outcome) => parts.metrics.operations.inc(outcome),
        ...{ services, authenticator, logger, protection },
      }),
    );
    parts.metrics.watch(parts.db, server.countSockets);
    return { url: server.url, base: parts.base, close: () => opened.close() };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** Runs operators' commands, which cannot open the built-in database themselves. */
function openCommands({ dataDir }: Config, parts: Parts): Promise<Closable> {
  const { db, store, clock } = parts;
  const deployment: OpenDeployment = { db, clock, withStore: (use) => use(store) };
  return openControl(dataDir, (command) => runCommand(deployment, command));
}

/** Has the engine load an adapter that has just become live. */
async function warm(engine: Engine, { store }: Parts, adapter: AdapterRow): Promise<void> {
  engine.warm(await engineAdapter(store, adapter));
}

/** The check of tokens: of those that the keys of others sign, or else of this server's own. */
function openTokens(config: Config, logger: AppOptions['logger']): Promise<Authenticator> {
  const { jwks: keys, issuer, audience } = config;
  if (keys !== undefined) return openJwksAuthenticator({ keys, issuer, audience }, systemClock);
  logger.info('tokens are signed with the key of this server: name --jwks for another issuer');
  return openAuthenticator(keysDirOf(config), systemClock);
}

function openRevoked(parts: Parts, logger: AppOptions['logger']): Promise<RevokedDevices> {
  const onError = (err: unknown) => logger.error({ err }, 'revoked devices cannot be read');
  return openRevokedDevices({ ...parts, onError });
}

async function openEngine(
  config: Config,
  { base, metrics }: Parts,
  { logger }: AppOptions,
): Promise<Engine> {
  logger.info({ base: base.name, threads: config.threads }, 'the engine is starting');
  const engine = await startEngine({
    baseDir: base.dir,
    threads: config.threads,
    speculation: config.speculation,
    onRestart: (reason) => logger.error({ reason }, 'the engine died; it is started again'),
    onAdapter: (tier) => metrics.adapters.inc({ tier }),
  });
  return measuredEngine(engine, metrics);
}

async function servicesOf(
  { storeCompletions: storesCompletions }: Config,
  parts: Parts,
  { engine, tokenizer }: { readonly engine: Engine; readonly tokenizer: Tokenizer },
): Promise<Omit<Services, 'manifestKeys' | 'revokedDevices' | keyof DeviceTrainingParts>> {
  const { db, base, catalog, clock } = parts;
  return {
    ...parts,
    base: { ...base, files: await deviceFiles(base) },
    answers: openAnswers({
      ...parts,
      ...{ engine, tokenizer, storesCompletions, baseSha256: base.sha256 },
    }),
    cursorSecret: await readCursorSecret(db),
    onOverwrite: (tx, userId, states) => noteStates(catalog, tx, userId, states),
    onDelete: (tx, userId, records) => forgetRecords({ catalog, clock }, tx, userId, records),
    countTokens: (messages, text) => ({
      promptTokens: tokenizer.encodeChat(messages, { addGenerationPrompt: true }).length,
      completionTokens: tokenizer.encode(text).length,
    }),
  };
}
