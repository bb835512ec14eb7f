// The installed base by what its files are, for those who run it.

import { DEVICE_GRAPH_NAME } from '../../model/decode/device-graph-name.ts';
import type { FileMessage } from '../../sync/protocol.ts';
import type { DeviceStorage } from '../storage/storage.ts';
import type { EngineFile } from './device-engine.ts';
import type { WantedBase } from './wanted-base.ts';

type Names = 'graph' | 'weights' | 'config' | 'tokenizer' | 'tokenizerConfig';

/** Which file of a base each is. The graph names its weights by their hash, so their version does not matter. */
const IS: Readonly<Record<Names, (name: string) => boolean>> = {
  graph: (name) => name === DEVICE_GRAPH_NAME,
  weights: (name) => /^decode-i8\..*\.safetensors$/.test(name),
  config: (name) => name === 'config.json',
  tokenizer: (name) => name === 'tokenizer.json',
  tokenizerConfig: (name) => name === 'tokenizer_config.json',
};

/** The files of a base that a device runs. */
export type InstalledBase = Readonly<Record<Names, FileMessage>> & { readonly sha256: string };

/** The base that is installed; null when none is, or none that a device can run. */
export async function installedBase(wanted: WantedBase): Promise<InstalledBase | null> {
  const base = await wanted.read();
  if (base === null || !base.isInstalled) return null;
  const found = Object.entries(IS).map(
    ([part, isIt]) => [part, base.files.find(({ name }) => isIt(name))] as const,
  );
  if (found.some(([, file]) => file === undefined)) return null;
  const files = Object.fromEntries(found) as Record<Names, FileMessage>;
  return { ...files, sha256: base.sha256 };
}

/** A file's place where the platform's onnxruntime opens files itself, else its bytes. */
export async function contentOf(
  { files }: DeviceStorage,
  { sha256 }: FileMessage,
): Promise<EngineFile> {
  return files.path ? { path: files.path(sha256) } : { bytes: await files.read(sha256) };
}

/** The texts among a base's files. */
export async function textsOf(storage: DeviceStorage, base: InstalledBase) {
  const text = async ({ sha256 }: FileMessage) =>
    new TextDecoder().decode(await storage.files.read(sha256));
  return {
    config: await text(base.config),
    tokenizer: await text(base.tokenizer),
    tokenizerConfig: await text(base.tokenizerConfig),
  };
}
