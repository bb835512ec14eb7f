import { WIRE_FILE } from '../../model/lora/lora-wire.ts';
import type { AdapterMessage, FileMessage } from '../../sync/protocol.ts';
import type { DeviceStorage } from '../storage/storage.ts';

/** Where the server remembers what an adapter has learnt. */
const LINEAGE_FILE = 'attune.json';

/** The files of an adapter that a device keeps: what only travels, and what only the server needs, is left out. */
export function keptFiles(files: readonly FileMessage[]): readonly FileMessage[] {
  return files.filter(({ name }) => name !== WIRE_FILE && name !== LINEAGE_FILE);
}

/** The bytes of an installed adapter's two files. */
export async function adapterContent(
  storage: DeviceStorage,
  { files }: AdapterMessage,
): Promise<{ readonly config: string; readonly tensors: Uint8Array }> {
  const read = (name: string) => {
    const file = files.find((one) => one.name === name);
    if (file === undefined) throw new Error(`the adapter has no file ${name}`);
    return storage.files.read(file.sha256);
  };
  const config = new TextDecoder().decode(await read('adapter_config.json'));
  return { config, tensors: await read('adapter_model.safetensors') };
}
