import { readLineage } from '../adapters/lineage.ts';
import { readPeftFolder } from '../adapters/peft.ts';
import { registerShipped } from '../adapters/shipped.ts';
import type { AdapterStore } from '../adapters/store.ts';
import type { Db } from '../db/database.ts';
import type { Clock } from '../lib/clock.ts';
import type { Base } from '../model/base/base-package.ts';
import type { ModeCatalog } from '../modes/mode.ts';

/** Puts the adapters that the modes ship into store and registry. Throws when one of them does not fit the base. */
export async function shipAdapters(parts: {
  readonly db: Db;
  readonly catalog: ModeCatalog;
  readonly store: AdapterStore;
  readonly base: Base;
  readonly clock: Clock;
}): Promise<void> {
  const { db, catalog, store, base, clock } = parts;
  const shipped = catalog.modes.flatMap(({ key, shippedAdapter }) =>
    shippedAdapter === null ? [] : [{ mode: key, folder: shippedAdapter }],
  );
  const registered = await Promise.all(
    shipped.map(async ({ mode, folder }) => {
      const { shape } = await readPeftFolder(folder, base);
      const stored = await store.put(folder, null);
      const lineage = await readLineage(folder);
      return { mode, baseSha256: base.sha256, rank: shape.rank, lineage, ...stored };
    }),
  );
  await registerShipped(db, registered, new Date(clock.now()));
}
