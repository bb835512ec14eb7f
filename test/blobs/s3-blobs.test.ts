import { readFile, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Blobs } from '../../src/blobs/blobs.ts';
import { checkBlobs } from '../../src/blobs/check-blobs.ts';
import { openBlobs } from '../../src/blobs/open-blobs.ts';
import { parseS3Url } from '../../src/blobs/s3-url.ts';
import { must } from '../../src/lib/errors.ts';
import { S3_ACCESS, useS3Server } from '../support/servers/s3-server.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';

const inFolder = useTemporaryFolder();

async function open(url: string): Promise<Blobs> {
  return must(await openBlobs(url), 'it is the URL of a bucket');
}

const server = useS3Server();

describe('blobs in a bucket', () => {
  let blobs: Blobs;
  beforeEach(async () => {
    blobs = await open(server().url);
    return () => blobs.close();
  });

  async function put(name: string, content: string): Promise<void> {
    await writeFile(inFolder('source'), content);
    await blobs.put(name, inFolder('source'));
  }
  const fetched = () => readFile(inFolder('target'), 'utf8');

  it('come back as they were put, under the prefix of the URL', async () => {
    await put('adapters/a b/tensors', 'first');
    await put('adapters/a b/tensors', 'second');
    expect([...server().objects.keys()]).toEqual(['some/prefix/adapters/a b/tensors']);
    expect(await blobs.fetch('adapters/a b/tensors', inFolder('target'))).toBe(true);
    expect(await fetched()).toBe('second');
  });

  it('are not there before they are put and after they are removed', async () => {
    await put('one', '1');
    await blobs.remove('one');
    await blobs.remove('one');
    expect(await blobs.fetch('one', inFolder('target'))).toBe(false);
    await expect(fetched()).rejects.toThrow('ENOENT');
  });

  it('are listed whole, also when the server lists a few at a time', async () => {
    const names = Array.from({ length: 8 }, (_, i) => `adapters/${i}`);
    for (const name of names) await put(name, name);
    await put('models/1', '');
    expect(await blobs.list('adapters/')).toEqual(names);
  });

  it.each(['cut', 'altered', 'busy'] as const)(
    'arrive whole although the first answers were %s',
    async (fault) => {
      await put('tensors', 'what was put');
      server().fault = fault;
      server().faultsLeft = 2;
      expect(await blobs.fetch('tensors', inFolder('target'))).toBe(true);
      expect(await fetched()).toBe('what was put');
    },
  );

  it('do not arrive altered', async () => {
    await put('tensors', 'what was put');
    server().fault = 'altered';
    const fetching = blobs.fetch('tensors', inFolder('target'));
    await expect(fetching).rejects.toThrow(/cannot fetch tensors from s3:.*SHA-256/);
    await expect(fetched()).rejects.toThrow('ENOENT');
  });

  it('cannot be put where nothing may be written, and the error says where', async () => {
    server().fault = 'read-only';
    await expect(put('tensors', 'x')).rejects.toThrow(
      /cannot store tensors in s3:\/\/attune-test\/some\/prefix\/: AccessDenied/,
    );
  });

  it('are missing only where the bucket itself is there', async () => {
    const other = await open(server().url.replace('attune-test', 'other'));
    await expect(other.fetch('tensors', inFolder('target'))).rejects.toThrow('NoSuchBucket');
    await expect(other.list('')).rejects.toThrow('NoSuchBucket');
    other.close();
  });

  it('are refused with other credentials', async () => {
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'wrong');
    const other = await open(server().url);
    await expect(other.list('')).rejects.toThrow('SignatureDoesNotMatch');
    other.close();
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', S3_ACCESS.AWS_SECRET_ACCESS_KEY);
  });

  it('are checked by a round trip that leaves nothing', async () => {
    expect(await checkBlobs(server().url)).toBe('s3://attune-test/some/prefix/');
    expect(server().objects.size).toBe(0);
    server().fault = 'read-only';
    await expect(checkBlobs(server().url)).rejects.toThrow('AccessDenied');
  });
});

describe('a bucket in a URL', () => {
  it('has a prefix, an endpoint and a region, or none', () => {
    expect(parseS3Url('s3://bucket')).toEqual({ bucket: 'bucket', prefix: '' });
    expect(parseS3Url('s3://bucket/a/b/?endpoint=https://s3.local:9000&region=eu-1')).toEqual({
      ...{ bucket: 'bucket', prefix: 'a/b/' },
      ...{ endpoint: 'https://s3.local:9000', region: 'eu-1' },
    });
  });

  it.each([
    's3://',
    'https://bucket',
    's3://bucket?endpoint=nowhere',
    's3://bucket?key=1',
    's3://a:b@bucket',
  ])('is not %s', (text) => {
    expect(parseS3Url(text)).toBeNull();
  });
});
