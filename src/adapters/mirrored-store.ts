// An adapters' folder of one process's own, in front of blobs that all processes share: what is put goes to both, what is
// missing or damaged here is fetched from there. The files are copied as they lie in the folder.

import { rm } from 'node:fs/promises';
import type { Blobs } from '../blobs/blobs.ts';
import { fetchFolder, putFolder } from '../blobs/folder-mirror.ts';
import { TENSORS_FILE } from '../model/lora-wire.ts';
import { type AdapterStore, UNFINISHED } from './store.ts';

/** The same store, whose adapters reach other processes and come from them. An adapter counts as lost only when the blobs
 *  were asked and have none that is whole; asking throws when they cannot be reached. */
export function mirroredStore(local: AdapterStore, blobs: Blobs): AdapterStore {
  const underWay = new Map<string, Promise<void>>();
  const bring = async (sha256: string) => {
    const dir = local.pathOf(sha256);
    const isThere = await fetchFolder(blobs, blobName(sha256), dir, {
      last: TENSORS_FILE,
      scratch: UNFINISHED,
    });
    // what arrived damaged is of no use to anybody, and the next one who asks should look again
    if (isThere && !(await local.isIntact(sha256))) await rm(dir, { recursive: true, force: true });
  };
  const bringOnce = async (sha256: string) => {
    const bringing = underWay.get(sha256) ?? bring(sha256);
    underWay.set(sha256, bringing);
    try {
      await bringing;
    } finally {
      underWay.delete(sha256);
    }
  };
  const orBring =
    (isWell: AdapterStore['isIntact']): AdapterStore['isIntact'] =>
    async (sha256) => {
      if (await isWell(sha256)) return true;
      await bringOnce(sha256);
      return isWell(sha256);
    };
  return {
    ...local,
    isIntact: orBring(local.isIntact),
    isServable: orBring(local.isServable),
    put: async (peftFolder) => {
      const stored = await local.put(peftFolder);
      const { sha256 } = stored;
      await putFolder(blobs, blobName(sha256), local.pathOf(sha256), TENSORS_FILE);
      return stored;
    },
  };
}

function blobName(sha256: string): string {
  return `adapters/${sha256}`;
}
