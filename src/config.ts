// Every setting of the server, from flags first and the environment second: read and checked once, frozen, passed on.
// The only file that reads process.env.

import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import envPaths from 'env-paths';

/** A setting's value does not fit; the message names flag, value and remedy. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

interface Setting<T> {
  readonly flag: string;
  readonly env: string;
  readonly placeholder: string;
  readonly description: string;
  /** What `parse` takes, in words, for the error message. */
  readonly expected: string;
  /** The text used when neither flag nor variable is set; null: the setting is absent. */
  readonly fallback: string | null;
  /** Returns undefined when the text does not fit. */
  readonly parse: (text: string) => T | undefined;
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
/** More threads or trainers than this are a slip of the hand. */
const MAX_THREADS = 256;

/** One row per setting: the command line's help, the environment and the defaults all come from here. */
export const SETTINGS = {
  port: {
    flag: '--port',
    env: 'PORT',
    placeholder: 'number',
    description: 'port to listen on; 0 picks a free one',
    expected: 'a whole number from 0 to 65535',
    fallback: '4000',
    parse: (text) => wholeNumber(text, 0, 65_535),
  } satisfies Setting<number>,
  host: {
    flag: '--host',
    env: 'ATTUNE_HOST',
    placeholder: 'address',
    description: 'address to listen on; 0.0.0.0 lets other machines in',
    expected: 'an address or host name of this machine',
    fallback: '127.0.0.1',
    parse: nonEmpty,
  } satisfies Setting<string>,
  dataDir: {
    flag: '--data',
    env: 'ATTUNE_DATA',
    placeholder: 'folder',
    description: 'where database, adapters and keys are kept',
    expected: 'the path of a folder',
    fallback: 'data',
    parse: path,
  } satisfies Setting<string>,
  databaseUrl: {
    flag: '--database-url',
    env: 'DATABASE_URL',
    placeholder: 'url',
    description: 'PostgreSQL to use instead of the database in the data folder',
    expected: 'a URL such as postgres://user:password@host:5432/attune',
    fallback: null,
    parse: (text) => url(text, ['postgres:', 'postgresql:']),
  } satisfies Setting<string>,
  redisUrl: {
    flag: '--redis-url',
    env: 'REDIS_URL',
    placeholder: 'url',
    description: 'Redis to use for queue and wake-ups instead of the database',
    expected: 'a URL such as redis://host:6379',
    fallback: null,
    parse: (text) => url(text, ['redis:', 'rediss:']),
  } satisfies Setting<string>,
  blobUrl: {
    flag: '--blob-url',
    env: 'BLOB_URL',
    placeholder: 'url',
    description: 'folder of the adapters that all processes share (standard: in the data folder)',
    expected: 'the URL of a folder such as file:///srv/attune/blobs',
    fallback: null,
    parse: (text) => url(text, ['file:']),
  } satisfies Setting<string>,
  keysDir: {
    flag: '--keys',
    env: 'ATTUNE_KEYS',
    placeholder: 'folder',
    description: 'folder of the key that signs tokens (standard: the data folder)',
    expected: 'the path of a folder',
    fallback: null,
    parse: path,
  } satisfies Setting<string>,
  model: {
    flag: '--model',
    env: 'ATTUNE_MODEL',
    placeholder: 'model',
    description: 'base model: default, tiny, a folder, a .gguf file, or org/name of a model hub',
    expected: 'default, tiny, a path, or org/name',
    fallback: 'default',
    parse: nonEmpty,
  } satisfies Setting<string>,
  cacheDir: {
    flag: '--cache',
    env: 'ATTUNE_CACHE',
    placeholder: 'folder',
    description: 'where base models are kept, for all clones of one user',
    expected: 'the path of a folder',
    fallback: envPaths('attune', { suffix: '' }).cache,
    parse: path,
  } satisfies Setting<string>,
  modes: {
    flag: '--modes',
    env: 'ATTUNE_MODES',
    placeholder: 'keys',
    description: 'the modes to run, such as subject,reply (default: all)',
    expected: 'keys of modes with commas between them, such as subject,reply',
    fallback: null,
    parse: list,
  } satisfies Setting<readonly string[]>,
  modesDir: {
    flag: '--modes-dir',
    env: 'ATTUNE_MODES_DIR',
    placeholder: 'folder',
    description: 'where the modes and their sources are described',
    expected: 'the path of a folder',
    fallback: fileURLToPath(new URL('../modes', import.meta.url)),
    parse: path,
  } satisfies Setting<string>,
  hubUrl: {
    flag: '--hub',
    env: 'HF_ENDPOINT',
    placeholder: 'url',
    description: 'model hub to fetch org/name from, if not the public one',
    expected: 'a URL such as https://hub.example',
    fallback: null,
    parse: (text) => url(text, ['http:', 'https:']),
  } satisfies Setting<string>,
  threads: {
    flag: '--threads',
    env: 'ATTUNE_THREADS',
    placeholder: 'number',
    description: 'threads of the inference engine',
    expected: `a whole number from 1 to ${MAX_THREADS}`,
    fallback: String(availableParallelism()),
    parse: (text) => wholeNumber(text, 1, MAX_THREADS),
  } satisfies Setting<number>,
  trainers: {
    flag: '--concurrency',
    env: 'ATTUNE_CONCURRENCY',
    placeholder: 'number',
    description: 'training runs at the same time, a processor core each',
    expected: `a whole number from 1 to ${MAX_THREADS}`,
    fallback: String(Math.max(1, availableParallelism() - 1)),
    parse: (text) => wholeNumber(text, 1, MAX_THREADS),
  } satisfies Setting<number>,
  jwks: {
    flag: '--jwks',
    env: 'ATTUNE_JWKS',
    placeholder: 'url|file',
    description: 'keys of the tokens that somebody else makes, instead of this server',
    expected: 'the URL or the path of a JSON Web Key Set',
    fallback: null,
    parse: nonEmpty,
  } satisfies Setting<string>,
  issuer: {
    flag: '--issuer',
    env: 'ATTUNE_ISSUER',
    placeholder: 'text',
    description: 'with --jwks: the iss of its tokens',
    expected: 'a text',
    fallback: 'attune',
    parse: nonEmpty,
  } satisfies Setting<string>,
  audience: {
    flag: '--audience',
    env: 'ATTUNE_AUDIENCE',
    placeholder: 'text',
    description: 'with --jwks: the aud of its tokens',
    expected: 'a text',
    fallback: 'attune',
    parse: nonEmpty,
  } satisfies Setting<string>,
  production: {
    flag: '--production',
    env: 'ATTUNE_PRODUCTION',
    placeholder: 'yes|no',
    description: 'open to the world: no introspection, no suggestions, no query editor',
    expected: 'yes or no',
    fallback: 'no',
    parse: (text) => ({ yes: true, no: false })[text],
  } satisfies Setting<boolean>,
  trustedDocuments: {
    flag: '--trusted-documents',
    env: 'ATTUNE_TRUSTED_DOCUMENTS',
    placeholder: 'file',
    description: "manifest of the apps' operations: then no others are run",
    expected: 'the path of a file',
    fallback: null,
    parse: path,
  } satisfies Setting<string>,
  proxies: {
    flag: '--proxies',
    env: 'ATTUNE_PROXIES',
    placeholder: 'number',
    description: 'proxies of your own before the server, which say who called',
    expected: 'a whole number from 0 to 10',
    fallback: '0',
    parse: (text) => wholeNumber(text, 0, 10),
  } satisfies Setting<number>,
  logLevel: {
    flag: '--log-level',
    env: 'ATTUNE_LOG_LEVEL',
    placeholder: 'level',
    description: `how much to log: ${LOG_LEVELS.join(', ')}`,
    expected: `one of ${LOG_LEVELS.join(', ')}`,
    fallback: 'info',
    parse: (text) => LOG_LEVELS.find((level) => level === text),
  } satisfies Setting<(typeof LOG_LEVELS)[number]>,
};

type Settings = typeof SETTINGS;
type Parsed<S> = S extends { readonly parse: (text: string) => infer T }
  ? Exclude<T, undefined>
  : never;
type Optional<S> = S extends { readonly fallback: null } ? undefined : never;

/** All settings, parsed; undefined where there is no fallback and nothing was set. */
export type Config = {
  readonly [K in keyof Settings]: Parsed<Settings[K]> | Optional<Settings[K]>;
};

/** The flags as given, by setting. */
export type Flags = { readonly [K in keyof Settings]?: string | undefined };

/** Reads every setting: the flag, else the variable (an empty one counts as unset), else the default.
 *  Throws ConfigError on the first value that does not fit. */
export function readConfig(flags: Flags, env: NodeJS.ProcessEnv = process.env): Config {
  const entries = Object.entries(SETTINGS).map(([key, setting]) => [
    key,
    readSetting(setting, flags[key as keyof Settings], env[setting.env]),
  ]);
  // each value came from its own row's parse, which is what Config says
  return Object.freeze(Object.fromEntries(entries)) as Config;
}

function readSetting(
  setting: Setting<unknown>,
  flag: string | undefined,
  variable: string | undefined,
): unknown {
  const [text, name] =
    flag === undefined ? [variable || setting.fallback, setting.env] : [flag, setting.flag];
  if (text === null) return undefined;
  const value = setting.parse(text);
  if (value !== undefined) return value;
  throw new ConfigError(
    `${name} is ${JSON.stringify(hidePassword(text))}: expected ${setting.expected}.`,
  );
}

function hidePassword(text: string): string {
  return text.replace(/:[^:/@]*@/, ':...@');
}

function wholeNumber(text: string, min: number, max: number): number | undefined {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : undefined;
}

/** The folder of the key that signs tokens. */
export function keysDirOf({ keysDir, dataDir }: Config): string {
  return keysDir ?? dataDir;
}

/** The folder that holds the adapters' folder. */
export function blobDirOf({ blobUrl, dataDir }: Config): string {
  return blobUrl === undefined ? dataDir : fileURLToPath(blobUrl);
}

function nonEmpty(text: string): string | undefined {
  return text === '' ? undefined : text;
}

function list(text: string): readonly string[] | undefined {
  const keys = text.split(',').map((key) => key.trim());
  return keys.includes('') ? undefined : keys;
}

function path(text: string): string | undefined {
  return text === '' ? undefined : resolve(text);
}

function url(text: string, protocols: readonly string[]): string | undefined {
  return URL.canParse(text) && protocols.includes(new URL(text).protocol) ? text : undefined;
}
