import type { Blobs } from '../blobs/blobs.ts';
import { openBlobs } from '../blobs/open-blobs.ts';
import type { Vault } from '../sealing/vault.ts';
import { mirroredStore } from './mirrored-store.ts';
import { type AdapterStore, openAdapterStore } from './store.ts';

/** Opens the store in a folder, and where there is a bucket's URL, the bucket behind it, which the caller closes. */
export async function openStore(
  {
    folder,
    remoteUrl,
  }: {
    readonly folder: string;
    readonly remoteUrl?: string | undefined;
  },
  vault: Pick<Vault, 'keysOf'>,
  /** Told of every adapter that had to come from the bucket. */
  onFetched?: () => void,
): Promise<{ readonly store: AdapterStore; readonly blobs: Blobs | null }> {
  const blobs = await openBlobs(remoteUrl);
  const local = await openAdapterStore(folder, vault);
  return { store: blobs === null ? local : mirroredStore(local, blobs, onFetched), blobs };
}
