import type { Blobs } from './blobs.ts';
import { parseS3Url } from './s3-url.ts';

/** Opens what the URL names; null where processes share a folder and nothing has to be carried. */
export async function openBlobs(remoteUrl: string | undefined): Promise<Blobs | null> {
  const place = remoteUrl === undefined ? null : parseS3Url(remoteUrl);
  if (place === null) return null;
  // loaded only where it is used: it takes longer to load than all else here
  const { openS3Blobs } = await import('./s3-blobs.ts');
  return openS3Blobs(place);
}
