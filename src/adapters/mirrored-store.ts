// An adapters' folder of one process's own, in front of blobs that all processes share: what is put goes to both, what is
// missing or damaged here is fetched from there. The files are copied as they lie in the folder.

import { rm } from 'node:fs/promises';
import type { Blobs } from '../blobs/blobs.ts';
import { fetchFolder, putFolder } from '../blobs/folder-mirror.ts';
import { TENSORS_FILE } from '../model/lora/lora-wire.ts';
import { type AdapterName, type AdapterStore, folderOfUser, placeOf, UNFINISHED } from './store.ts';

/** The same store, whose adapters reach other processes and come from them. An adapter counts as lost only when the blobs
 *  were asked and have none that is whole; asking throws when they cannot be reached. */
export function mirroredStore(
  local: AdapterStore,
  blobs: Blobs,
  /** Told of every adapter that was not at hand and had to come from there. */
  onFetched: () => void = () => undefined,
): AdapterStore {
  const underWay = new Map<string, Promise<void>>();
  const bring = async (name: AdapterName) => {
    const dir = local.pathOf(name);
    const isThere = await fetchFolder(blobs, blobName(name), dir, {
      last: TENSORS_FILE,
      scratch: UNFINISHED,
    });
    if (isThere) onFetched();
    // what arrived damaged is of no use to anybody, and the next one who asks should look again
    if (isThere && !(await local.isIntact(name))) await rm(dir, { recursive: true, force: true });
  };
  const bringOnce = async (name: AdapterName) => {
    const path = local.pathOf(name);
    const bringing = underWay.get(path) ?? bring(name);
    underWay.set(path, bringing);
    try {
      await bringing;
    } finally {
      underWay.delete(path);
    }
  };
  const orBring =
    (isWell: AdapterStore['isIntact']): AdapterStore['isIntact'] =>
    async (name) => {
      if (await isWell(name)) return true;
      await bringOnce(name);
      return isWell(name);
    };
  const send = (name: AdapterName) =>
    putFolder(blobs, blobName(name), local.pathOf(name), TENSORS_FILE);
  return {
    ...local,
    isIntact: orBring(local.isIntact),
    isServable: orBring(local.isServable),
    put: async (peftFolder, userId) => {
      const stored = await local.put(peftFolder, userId);
      await send({ userId, sha256: stored.sha256 });
      return stored;
    },
    takeCopy: async (dir, name) => {
      await local.takeCopy(dir, name);
      await send(name);
    },
    reseal: async (name) => {
      if (!(await local.isServable(name))) await bringOnce(name);
      await local.reseal(name);
      await send(name);
    },
    remove: async (name) => {
      await local.remove(name);
      await removeBelow(blobs, `${blobName(name)}/`);
    },
    removeAll: async (userId) => {
      await local.removeAll(userId);
      await removeBelow(blobs, `adapters/${folderOfUser(userId)}/`);
    },
  };
}

async function removeBelow(blobs: Blobs, prefix: string): Promise<void> {
  for (const name of await blobs.list(prefix)) await blobs.remove(name);
}

function blobName(name: AdapterName): string {
  return ['adapters', ...placeOf(name)].join('/');
}
