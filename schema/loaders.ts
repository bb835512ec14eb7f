// Reads that many resolvers of one operation ask for one by one, answered in one query each.
// Nothing is remembered: a subscription's context lives for hours, and a mutation must see what it just wrote.

import DataLoader from 'dataloader';
import { heldAdapters } from '../src/adapters/held-adapters.ts';
import { adaptersById, liveAdapters, shippedAdapters } from '../src/adapters/registry.ts';
import { devicesById } from '../src/changes/devices.ts';
import { recordsById } from '../src/changes/records.ts';
import { datasetsById, latestDatasets } from '../src/dataset/datasets.ts';
import type { Db } from '../src/db/database.ts';
import { completionsById } from '../src/feedback/completions.ts';
import type { ModeCatalog } from '../src/modes/mode.ts';
import { runsById } from '../src/runs/runs.ts';

/** Loads what an id names; null for no id. */
export function loadIf<Row>(
  loader: DataLoader<string, Row | null>,
  id: string | null,
): Promise<Row | null> {
  return id === null ? Promise.resolve(null) : loader.load(id);
}

/** Batched reads of one user's rows. */
export type Loaders = ReturnType<typeof createLoaders>;

type ReadRows<Row> = (db: Db, userId: string, keys: readonly string[]) => Promise<readonly Row[]>;

/** What is read from. */
interface LoaderParts {
  readonly db: Db;
  readonly base: { readonly sha256: string };
  readonly catalog: Pick<ModeCatalog, 'modes'>;
}

/** The loaders of one operation; every one reads only what belongs to the user (or ships with a mode). */
export function createLoaders({ db, base, catalog }: LoaderParts, userId: string) {
  const byKey = <Row>(read: ReadRows<Row>, keyOf: (row: Row) => string) =>
    new DataLoader<string, Row | null>(
      async (keys) => {
        const rows = await read(db, userId, keys);
        const found = new Map(rows.map((row) => [keyOf(row), row]));
        return keys.map((key) => found.get(key) ?? null);
      },
      { cache: false },
    );
  const byId = <Row extends { readonly id: string }>(read: ReadRows<Row>) =>
    byKey(read, ({ id }) => id);
  const byMode = <Row extends { readonly mode: string }>(read: ReadRows<Row>) =>
    byKey(read, ({ mode }) => mode);
  return lazily({
    adapter: () => byId(adaptersById),
    completion: () => byId(completionsById),
    dataset: () => byId(datasetsById),
    device: () => byId(devicesById),
    record: () => byId(recordsById),
    run: () => byId(runsById),
    liveAdapter: () => byMode(liveAdapters),
    latestDataset: () => byMode(latestDatasets),
    shippedAdapter: () => byMode((_db, _userId, modes) => shippedAdapters(db, base.sha256, modes)),
    held: () =>
      new DataLoader(
        async (deviceRowIds: readonly string[]) => {
          const all = await heldAdapters(db, userId, deviceRowIds);
          const held = all.filter(({ mode }) => catalog.modes.some(({ key }) => key === mode));
          return deviceRowIds.map((id) => held.filter(({ deviceRowId }) => deviceRowId === id));
        },
        { cache: false },
      ),
  });
}

/** Makes each value when it is first asked for: most operations need none, and a subscription keeps what it has. */
function lazily<Values extends object>(
  make: {
    readonly [Name in keyof Values]: () => Values[Name];
  },
): Values {
  const made: Partial<Values> = {};
  return new Proxy({} as Values, {
    get: (_, name) => {
      const key = name as keyof Values;
      made[key] ??= make[key]();
      return made[key];
    },
  });
}
