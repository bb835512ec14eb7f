import { adaptersById } from '../adapters/registry.ts';
import type { TrainingSet } from '../dataset/load-dataset.ts';
import type { Db } from '../db/database.ts';
import type { AdapterRow } from '../db/schema.ts';

/** Of the preferences to learn from, the share about answers that `current` wrote, or other adapters of the same bytes;
 *  null where there are none. `current` null: the bare base. */
export async function onPolicyShare(
  db: Db,
  userId: string,
  { preferences, thumbs }: TrainingSet,
  current: AdapterRow | null,
): Promise<number | null> {
  const taught = [...preferences, ...thumbs].filter(({ split }) => split === 'train');
  if (taught.length === 0) return null;
  const ids = taught.flatMap(({ adapterId }) => adapterId ?? []);
  const rows = await adaptersById(db, userId, [...new Set(ids)]);
  const bytes = new Map(rows.map(({ id, sha256 }) => [id, sha256]));
  const own = taught.filter(({ adapterId }) =>
    adapterId === null ? current === null : bytes.get(adapterId) === current?.sha256,
  );
  return own.length / taught.length;
}
