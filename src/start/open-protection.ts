import type { Config } from '../config.ts';
import { openRedisRateCounters } from '../lib/redis-rate-counter.ts';
import { type Protection, protectionWith } from '../transport/protection.ts';
import { openRateLimits, ratesOf } from '../transport/rate-limits.ts';
import { findDocumentIn, readManifest } from '../transport/trusted-documents.ts';
import type { Closers } from './closers.ts';

/** How a server with these settings guards itself. Throws StartError on a manifest that cannot be read. */
export async function openProtection(
  { production, proxies, trustedDocuments, redisUrl }: Config,
  onError: (error: unknown) => void,
  opened: Closers,
): Promise<Protection> {
  const manifest = trustedDocuments === undefined ? null : await readManifest(trustedDocuments);
  const counters =
    redisUrl === undefined ? null : opened.add(await openRedisRateCounters(redisUrl, onError));
  return protectionWith({
    isProduction: production,
    proxies,
    findDocument: findDocumentIn(manifest),
    rates: openRateLimits(ratesOf(production), counters?.makeCounter),
  });
}
