// Every setting of the server, from flags first and the environment second: read and checked once, frozen, passed on.
// The only file that reads process.env.

import { fileURLToPath } from 'node:url';
import { parseS3Url } from './blobs/s3-url.ts';
import type { VaultSettings } from './sealing/vault.ts';
import { ACCESS_SETTINGS } from './settings/access.ts';
import { MODEL_SETTINGS } from './settings/model.ts';
import { SERVER_SETTINGS } from './settings/server.ts';
import type { Setting } from './settings/setting.ts';
import { STORAGE_SETTINGS } from './settings/storage.ts';

/** A setting's value does not fit; the message names flag, value and remedy. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** One row per setting: the command line's help, the environment and the defaults all come from here. */
export const SETTINGS = {
  ...SERVER_SETTINGS,
  ...STORAGE_SETTINGS,
  ...MODEL_SETTINGS,
  ...ACCESS_SETTINGS,
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
    setting.isSecret
      ? `${name} does not fit: expected ${setting.expected}.`
      : `${name} is ${JSON.stringify(hidePassword(text))}: expected ${setting.expected}.`,
  );
}

function hidePassword(text: string): string {
  return text.replace(/:[^:/@]*@/, ':...@');
}

/** The folder of the keys. */
export function keysDirOf({ keysDir, dataDir }: Config): string {
  return keysDir ?? dataDir;
}

/** Where adapters are kept: the folder that holds theirs, and the bucket behind it if they are shared through one. */
export interface BlobPlace {
  readonly folder: string;
  readonly remoteUrl?: string;
}

/** The folder that processes share; with a bucket, a folder of this process's own in front of it. */
export function blobPlaceOf({ blobUrl, dataDir }: Config): BlobPlace {
  if (blobUrl === undefined) return { folder: dataDir };
  if (parseS3Url(blobUrl) !== null) return { folder: dataDir, remoteUrl: blobUrl };
  return { folder: fileURLToPath(blobUrl) };
}

/** Where the keys are that data is sealed with. */
export function vaultSettingsOf(config: Config): VaultSettings {
  const { masterKeys, kms: url, kmsToken: token } = config;
  return { keysDir: keysDirOf(config), masterKeys, kms: url === undefined ? url : { url, token } };
}
