// An adapter's files from the server onto the disk, once its manifest allows it.

import { decodeLoraWire, TENSORS_FILE, WIRE_FILE } from '../../model/lora/lora-wire.ts';
import type { AdapterMessage, FileMessage } from '../../sync/protocol.ts';
import { ApiError } from '../api.ts';
import { QuotaError } from '../storage/storage.ts';
import { keptFiles } from './adapter-files.ts';
import { BadFileError, download } from './download.ts';
import { ownerOf } from './owner.ts';
import { newestField } from './shelf.ts';
import type { SyncParts } from './sync-parts.ts';

/** Brings the adapter's files onto the disk if its manifest allows it; returns why that cannot be done, or null when it is. */
export async function fetchAdapter(
  parts: SyncParts,
  adapter: AdapterMessage,
  signal: AbortSignal,
): Promise<string | null> {
  const { files, mode } = adapter;
  const slot = (await parts.shelf.read()).slots[mode.key];
  const newestVersion = slot === undefined ? 0 : slot[newestField(adapter)];
  const base = (await parts.base.read())?.sha256 ?? null;
  const user = await ownerOf(parts);
  const refusal = await parts.trust.refusal(adapter, { newestVersion, base, user }, signal);
  if (refusal !== null) return refusal;
  for (const file of keptFiles(files)) {
    const flaw =
      file.name === TENSORS_FILE
        ? await fetchTensors(parts, file, files, signal)
        : await fetchChecked(parts, file, signal);
    if (flaw !== null) return flaw;
  }
  return null;
}

/** Brings the tensors onto the disk by way of the smaller file that stands for them, where there is one. */
async function fetchTensors(
  parts: SyncParts,
  tensors: FileMessage,
  files: readonly FileMessage[],
  signal: AbortSignal,
): Promise<string | null> {
  const wire = files.find(({ name }) => name === WIRE_FILE);
  const isThere = (await parts.storage.files.size(tensors.sha256)) !== null;
  if (wire === undefined || isThere) return fetchChecked(parts, tensors, signal);
  const flaw = (await fetchChecked(parts, wire, signal)) ?? (await unpack(parts, wire, tensors));
  // the canonical file is the truth: what stands for it is only shorter
  return flaw === null ? null : fetchChecked(parts, tensors, signal);
}

/** Writes the tensors that the wire file stands for; returns why that cannot be done, or null. */
async function unpack(
  { storage: { files } }: SyncParts,
  wire: FileMessage,
  tensors: FileMessage,
): Promise<string | null> {
  try {
    const bytes = decodeLoraWire(await files.read(wire.sha256));
    const isRight = await files.putNamed(tensors.sha256, bytes);
    return isRight ? null : `${wire.name} does not stand for ${tensors.name}`;
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    if (error instanceof QuotaError) return `no room for ${tensors.name}: ${error.message}`;
    throw error;
  }
}

/** Brings the file onto the disk; returns why that cannot be done, or null. Throws ApiError, or the signal's reason. */
export async function fetchChecked(
  parts: SyncParts,
  file: FileMessage,
  signal: AbortSignal,
): Promise<string | null> {
  const { api, storage, onProgress } = parts;
  const deps = { api, files: storage.files, onProgress };
  try {
    // wrong bytes may have come from the disk or a proxy: the second time they count as the server's
    await download(deps, file, signal).catch((error: unknown) => {
      if (!(error instanceof BadFileError)) throw error;
      return download(deps, file, signal);
    });
    return null;
  } catch (error) {
    if (error instanceof BadFileError) return error.message;
    if (error instanceof QuotaError) return `no room for ${file.name}: ${error.message}`;
    if (error instanceof ApiError && error.code === 'NOT_FOUND') return `${file.url} is gone`;
    throw error;
  }
}
