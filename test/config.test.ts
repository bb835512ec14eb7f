import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { blobPlaceOf, ConfigError, type Flags, keysDirOf, readConfig } from '../src/config.ts';

describe('readConfig', () => {
  it('has a default for everything that a first start needs', () => {
    expect(readConfig({}, {})).toMatchObject({
      port: 4000,
      host: '127.0.0.1',
      dataDir: resolve('data'),
      databaseUrl: undefined,
      redisUrl: undefined,
      model: 'default',
      modes: undefined,
      modesDir: resolve('modes'),
      threads: availableParallelism(),
      logLevel: 'info',
    });
  });

  it('keeps key and adapters in the data folder unless they have folders of their own', () => {
    const alone = readConfig({ dataDir: '/srv/data' }, {});
    expect([keysDirOf(alone), blobPlaceOf(alone)]).toEqual(['/srv/data', { folder: '/srv/data' }]);
    const shared = readConfig({ keysDir: '/srv/keys', blobUrl: 'file:///srv/blobs' }, {});
    expect([keysDirOf(shared), blobPlaceOf(shared)]).toEqual([
      '/srv/keys',
      { folder: '/srv/blobs' },
    ]);
    const blobUrl = 's3://bucket/prefix?endpoint=http://127.0.0.1:9000';
    const bucket = readConfig({ dataDir: '/srv/data', blobUrl }, {});
    expect(blobPlaceOf(bucket)).toEqual({ folder: '/srv/data', remoteUrl: blobUrl });
  });

  it('prefers the flag to the variable and the variable to the default', () => {
    expect(readConfig({ port: '1' }, { PORT: '2' }).port).toBe(1);
    expect(readConfig({}, { PORT: '2' }).port).toBe(2);
  });

  it('takes an empty variable for an unset one, as shells and compose files write it', () => {
    expect(readConfig({}, { PORT: '', DATABASE_URL: '' })).toMatchObject({
      port: 4000,
      databaseUrl: undefined,
    });
  });

  it('reads every setting from its variable', () => {
    const env = {
      PORT: '0',
      ATTUNE_HOST: '0.0.0.0',
      ATTUNE_DATA: '/srv/attune',
      DATABASE_URL: 'postgres://user:secret@db:5432/attune',
      REDIS_URL: 'redis://cache:6379',
      ATTUNE_MIGRATE: 'no',
      ATTUNE_MODEL: 'tiny',
      ATTUNE_CACHE: '/srv/cache',
      ATTUNE_MODES: 'subject, reply',
      ATTUNE_MODES_DIR: '/srv/modes',
      HF_ENDPOINT: 'https://hub.example',
      ATTUNE_THREADS: '3',
      ATTUNE_SPECULATION: 'yes',
      BLOB_URL: 'file:///srv/blobs',
      ATTUNE_KEYS: '/srv/keys',
      ATTUNE_MASTER_KEYS: `now:${'A'.repeat(43)}=`,
      ATTUNE_STORE_COMPLETIONS: 'no',
      ATTUNE_KMS: 'https://kms.example/attune',
      ATTUNE_KMS_TOKEN: 'kms-token',
      ATTUNE_CONCURRENCY: '2',
      ATTUNE_LOG_LEVEL: 'debug',
      ATTUNE_PRODUCTION: 'yes',
      ATTUNE_TRUSTED_DOCUMENTS: '/srv/manifest.json',
      ATTUNE_PROXIES: '2',
      ATTUNE_JWKS: 'https://id.example/keys',
      ATTUNE_ISSUER: 'https://id.example',
      ATTUNE_AUDIENCE: 'phones',
    };
    expect(readConfig({}, env)).toEqual({
      production: true,
      trustedDocuments: '/srv/manifest.json',
      proxies: 2,
      jwks: 'https://id.example/keys',
      issuer: 'https://id.example',
      audience: 'phones',
      port: 0,
      host: '0.0.0.0',
      dataDir: '/srv/attune',
      databaseUrl: 'postgres://user:secret@db:5432/attune',
      redisUrl: 'redis://cache:6379',
      migrates: false,
      blobUrl: 'file:///srv/blobs',
      keysDir: '/srv/keys',
      masterKeys: [{ id: 'now', key: `${'A'.repeat(43)}=` }],
      storeCompletions: false,
      kms: 'https://kms.example/attune',
      kmsToken: 'kms-token',
      model: 'tiny',
      cacheDir: '/srv/cache',
      modes: ['subject', 'reply'],
      modesDir: '/srv/modes',
      hubUrl: 'https://hub.example',
      threads: 3,
      speculation: true,
      trainers: 2,
      logLevel: 'debug',
    });
  });

  const rejected: readonly [Flags, string][] = [
    [{ port: 'abc' }, '--port is "abc": expected a whole number from 0 to 65535.'],
    [{ port: '65536' }, '--port is "65536": expected a whole number from 0 to 65535.'],
    [{ port: '-1' }, '--port is "-1": expected a whole number from 0 to 65535.'],
    [{ port: '' }, '--port is "": expected a whole number from 0 to 65535.'],
    [{ dataDir: '' }, '--data is "": expected the path of a folder.'],
    [{ threads: '0' }, '--threads is "0": expected a whole number from 1 to 256.'],
    [{ redisUrl: 'cache:6379' }, '--redis-url is "cache:6379": expected a URL such as redis://'],
    [{ blobUrl: 'ftp://blobs' }, '--blob-url is "ftp://blobs": expected the URL of a folder'],
    [{ modes: 'subject,' }, '--modes is "subject,": expected keys of modes'],
    [{ logLevel: 'loud' }, '--log-level is "loud": expected one of fatal, error'],
  ];
  it.each(rejected)('refuses %j, naming flag, value and what fits', (flags, message) => {
    expect(() => readConfig(flags, {})).toThrow(ConfigError);
    expect(() => readConfig(flags, {})).toThrow(message);
  });

  it('names the variable when the variable is wrong, and never shows a password', () => {
    expect(() => readConfig({}, { DATABASE_URL: 'mysql://user:secret@db/attune' })).toThrow(
      'DATABASE_URL is "mysql://user:...@db/attune": expected a URL such as postgres://',
    );
    expect(() => readConfig({}, { ATTUNE_MASTER_KEYS: 'now:secret' })).toThrow(
      'ATTUNE_MASTER_KEYS does not fit: expected an id and 32 bytes in base64',
    );
  });
});
