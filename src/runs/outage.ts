import { BlobsFailed } from '../blobs/blobs.ts';
import { isConnectionLost } from '../db/connection-lost.ts';
import { isDiskRefusal } from '../lib/full-disk.ts';

/** Whether a run met a database, a disk or a bucket that could do nothing for it. */
export function isOutage(error: unknown): boolean {
  return isConnectionLost(error) || isDiskRefusal(error) || error instanceof BlobsFailed;
}
