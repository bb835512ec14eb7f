// Where data, queue, blobs and keys are kept.

import { parseS3Url } from '../blobs/s3-url.ts';
import { type MasterKey, parseMasterKeys } from '../sealing/master-keys.ts';
import { nonEmpty, path, type Setting, url, yesOrNo } from './setting.ts';

export const STORAGE_SETTINGS = {
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
  migrates: {
    flag: '--migrate',
    env: 'ATTUNE_MIGRATE',
    placeholder: 'yes|no',
    description: 'bring the tables up to date at the start; with no, attune migrate does it',
    expected: 'yes or no',
    fallback: 'yes',
    parse: yesOrNo,
  } satisfies Setting<boolean>,
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
    description:
      'folder or bucket of the adapters and models that all processes share (standard: the data folder)',
    expected:
      'the URL of a folder such as file:///srv/attune/blobs, or s3://bucket/prefix?endpoint=https://host&region=name',
    fallback: null,
    parse: (text) => (parseS3Url(text) === null ? url(text, ['file:']) : text),
  } satisfies Setting<string>,
  keysDir: {
    flag: '--keys',
    env: 'ATTUNE_KEYS',
    placeholder: 'folder',
    description: 'folder of all keys (standard: the data folder)',
    expected: 'the path of a folder',
    fallback: null,
    parse: path,
  } satisfies Setting<string>,
  storeCompletions: {
    flag: '--store-completions',
    env: 'ATTUNE_STORE_COMPLETIONS',
    placeholder: 'yes|no',
    description: 'keep answers, to be shown and rated; with no, devices report those to be rated',
    expected: 'yes or no',
    fallback: 'yes',
    parse: yesOrNo,
  } satisfies Setting<boolean>,
  masterKeys: {
    flag: '--master-keys',
    env: 'ATTUNE_MASTER_KEYS',
    placeholder: 'id:key,...',
    description:
      "what wraps the users' keys, the newest first, instead of a file of the keys folder",
    expected: 'an id and 32 bytes in base64 with a colon between them, or several such with commas',
    isSecret: true,
    fallback: null,
    parse: parseMasterKeys,
  } satisfies Setting<readonly MasterKey[]>,
  kms: {
    flag: '--kms',
    env: 'ATTUNE_KMS',
    placeholder: 'url',
    description: "key management service that wraps the users' keys (docs/privacy.md)",
    expected: 'a URL such as https://kms.example/attune',
    fallback: null,
    parse: (text) => url(text, ['http:', 'https:']),
  } satisfies Setting<string>,
  kmsToken: {
    flag: '--kms-token',
    env: 'ATTUNE_KMS_TOKEN',
    placeholder: 'text',
    description: 'bearer token for the key management service',
    expected: 'a text',
    isSecret: true,
    fallback: null,
    parse: nonEmpty,
  } satisfies Setting<string>,
};
