import { WIRE_FILE } from '../model/lora-wire.ts';
import type { FileMessage } from '../sync/protocol.ts';

/** Where the server remembers what an adapter has learnt. */
const LINEAGE_FILE = 'attune.json';

/** The files of an adapter that a device keeps: what only travels, and what only the server needs, is left out. */
export function keptFiles(files: readonly FileMessage[]): readonly FileMessage[] {
  return files.filter(({ name }) => name !== WIRE_FILE && name !== LINEAGE_FILE);
}
