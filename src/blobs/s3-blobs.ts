// Blobs in a bucket of S3 or of a server that speaks its protocol. Credentials are found as AWS's tools find them: in
// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the shared files, or the machine's role.

import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { readFile, rm, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  ListObjectsV2Command,
  NoSuchKey,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { makeFileAtomically } from '../lib/atomic-file.ts';
import { sha256File } from '../lib/sha256.ts';
import { type Blobs, BlobsFailed } from './blobs.ts';
import type { S3Place } from './s3-url.ts';

/** A server that is silent for longer is taken for gone. */
const CONNECT_MS = 5_000;
const SILENCE_MS = 30_000;

/** How often something is tried altogether; the client waits longer each time. */
const TRIES = 4;

/** Files up to this size are sent from memory, so that sending can be tried again. */
const IN_MEMORY_BYTES = 64 * 1024 * 1024;

/** Where the bytes' hash is kept, so that whoever fetches them knows what was sent. */
const HASH_KEY = 'sha256';

/** Opens the bucket; nothing is asked of it yet. */
export function openS3Blobs(
  { bucket, prefix, endpoint, region }: S3Place,
  silenceMs = SILENCE_MS,
): Blobs {
  const client = new S3Client({
    ...(region !== undefined && { region }),
    // a bucket's name as part of the host's name is what AWS alone has
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
    maxAttempts: TRIES,
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: silenceMs },
    // the hash of the whole is sent and checked here
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const place = (name: string) => ({ Bucket: bucket, Key: prefix + name });
  const label = `s3://${bucket}/${prefix}`;
  return {
    label,
    put: (name, path) =>
      about(`store ${name} in ${label}`, async () => {
        await client.send(new PutObjectCommand({ ...place(name), ...(await bodyOf(path)) }));
      }),
    fetch: (name, path) =>
      about(`fetch ${name} from ${label}`, () =>
        again(async () => {
          const object = await unlessMissing(client.send(new GetObjectCommand(place(name))));
          if (object !== null) await receive(object, path);
          return object !== null;
        }),
      ),
    list: (start) =>
      about(`list ${start} in ${label}`, () => listAll(client, place(start), prefix)),
    remove: (name) =>
      about(`remove ${name} from ${label}`, async () => {
        await client.send(new DeleteObjectCommand(place(name)));
      }),
    close: () => client.destroy(),
  };
}

/** The file's bytes with the hash that the server checks them by. */
async function bodyOf(path: string) {
  const { size } = await stat(path);
  const hash = await sha256File(path);
  return {
    Body: size <= IN_MEMORY_BYTES ? await readFile(path) : createReadStream(path),
    ContentLength: size,
    ChecksumSHA256: Buffer.from(hash, 'hex').toString('base64'),
    Metadata: { [HASH_KEY]: hash },
  };
}

async function receive({ Body, Metadata }: GetObjectCommandOutput, path: string): Promise<void> {
  if (!(Body instanceof Readable)) throw new Error('the answer has no bytes');
  const hash = createHash('sha256');
  await rm(path, { force: true });
  await makeFileAtomically(path, async (temporaryPath) => {
    const hashing = async function* (pieces: AsyncIterable<Uint8Array>) {
      for await (const piece of pieces) {
        hash.update(piece);
        yield piece;
      }
    };
    await pipeline(Body, hashing, createWriteStream(temporaryPath));
    const expected = Metadata?.[HASH_KEY];
    const actual = hash.digest('hex');
    if (expected !== undefined && actual !== expected)
      throw new Error(`the bytes have SHA-256 ${actual}, and ${expected} was stored`);
  });
}

async function listAll(
  client: S3Client,
  { Bucket, Key: Prefix }: { Bucket: string; Key: string },
  prefix: string,
): Promise<string[]> {
  const names: string[] = [];
  let ContinuationToken: string | undefined;
  do {
    const page = await client.send(new ListObjectsV2Command({ Bucket, Prefix, ContinuationToken }));
    for (const { Key } of page.Contents ?? []) if (Key) names.push(Key.slice(prefix.length));
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken !== undefined);
  return names;
}

/** Null when there is no such object. */
async function unlessMissing<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof NoSuchKey) return null;
    throw error;
  }
}

/** The client tries again only until an answer begins; its bytes may break off after that. */
async function again<T>(receiveAll: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await receiveAll();
    } catch (error) {
      if (tries >= TRIES) throw error;
    }
  }
}

/** Says what was being done when it went wrong. */
async function about<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const reason = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    throw new BlobsFailed(`cannot ${what}: ${reason}`, { cause });
  }
}
