import type { ModeCatalog } from '../../../src/modes/mode.ts';
import { loadShippedModes } from '../test-user.ts';

/** One mode, eager to train on little. */
export async function quickCatalog(key: string): Promise<ModeCatalog> {
  const shipped = await loadShippedModes();
  const mode = shipped.mode(key);
  const eager = {
    ...mode,
    trigger: { debounceMs: 20 },
    gate: { ...mode.gate, minHoldout: 1 },
  };
  return { ...shipped, modes: [eager], mode: () => eager, modesOf: () => [eager] };
}
