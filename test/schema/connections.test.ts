// Connections while others write: what nobody touched comes exactly once and in order, whichever way and however large the
// pages; what was written comes in its newest state.

import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { pageRecords } from '../../src/changes/records.ts';
import type { Db } from '../../src/db/database.ts';
import type { RecordRow } from '../../src/db/schema.ts';
import type { ModeCatalog } from '../../src/modes/mode.ts';
import { countingRows } from '../support/rows-read.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { soakRuns } from '../support/soak.ts';
import { loadShippedModes, newTestUser } from '../support/test-user.ts';

const COUNT = 12;

/** What happens between two pages: a record that is new, changed or deleted. */
const write = fc.record({
  record: fc.integer({ min: 0, max: COUNT + 5 }),
  isDelete: fc.boolean(),
});
const walk = fc.record({
  direction: fc.constantFrom<Direction>('forward', 'backward'),
  size: fc.integer({ min: 1, max: 5 }),
  /** The writes before each page. */
  writes: fc.array(fc.array(write, { maxLength: 3 }), { maxLength: 6 }),
});

const contact = (record: number, text: string) => ({
  ...{ source: 'contacts', recordId: `r${record}` },
  data: { name: text, email: `${text}@example.org` },
});

function changeOf({ record, isDelete }: { record: number; isDelete: boolean }, text: string) {
  const { data, ...named } = contact(record, text);
  return isDelete ? named : { ...named, data };
}

type Direction = 'forward' | 'backward';

/** One page after or before the cursor, and where the next one begins; null at the end. */
async function readPage(db: Db, userId: string, { direction, size, cursor }: PageAt) {
  const isForward = direction === 'forward';
  const args = isForward ? { first: size, after: cursor } : { last: size, before: cursor };
  const { edges, pageInfo } = await pageRecords(db, userId, {}, args);
  const { hasNextPage, hasPreviousPage, startCursor, endCursor } = pageInfo;
  const hasMore = isForward ? hasNextPage : hasPreviousPage;
  return {
    nodes: edges.map(({ node }) => node),
    next: hasMore ? (isForward ? endCursor : startCursor) : null,
  };
}

interface PageAt {
  readonly direction: Direction;
  readonly size: number;
  readonly cursor: string | null;
}

describeEachDatabase('a connection under concurrent writes', (database) => {
  let catalog: ModeCatalog;
  beforeAll(async () => {
    catalog = await loadShippedModes();
  });

  it('neither skips nor repeats what nobody touched', async () => {
    const holds = fc.asyncProperty(walk, async ({ direction, size, writes }) => {
      const db = database().kysely;
      const user = await newTestUser(db, catalog);
      const all = Array.from({ length: COUNT }, (_, record) => contact(record, 'old'));
      await user.push(...all);
      const touched = new Set<string>();
      const pages: RecordRow[][] = [];
      let cursor: string | null = null;
      do {
        const text = `new${pages.length}`;
        const changes = (writes[pages.length] ?? []).map((one) => changeOf(one, text));
        for (const { recordId } of changes) touched.add(recordId);
        await user.push(...changes);
        const { nodes, next } = await readPage(db, user.id, { direction, size, cursor });
        pages.push(nodes);
        cursor = next;
      } while (cursor !== null);
      const seen = (direction === 'forward' ? pages : pages.toReversed()).flat();
      const untouched = all.map(({ recordId }) => recordId).filter((id) => !touched.has(id));
      const ids = seen.map(({ recordId }) => recordId);
      expect(ids.filter((id) => !touched.has(id))).toEqual(untouched);
      const places = seen.map(({ changeSeq }) => changeSeq);
      expect(places).toEqual([...new Set(places)].sort((a, b) => a - b));
    });
    await fc.assert(holds, { numRuns: soakRuns(12) });
  });

  it('reads no more rows than a page has, and one to know whether there are others', async () => {
    const user = await newTestUser(database().kysely, catalog);
    await user.push(...[0, 1, 2, 3, 4].map((record) => contact(record, 'same')));
    const { db, counts } = countingRows(database().kysely);
    for (const direction of ['forward', 'backward'] as const) {
      const { nodes, next } = await readPage(db, user.id, { direction, size: 2, cursor: null });
      expect(nodes).toHaveLength(2);
      expect(next).not.toBeNull();
    }
    expect(counts).toEqual([3, 3]);
  });

  it('ends behind a cursor that is larger than any number of its column', async () => {
    const db = database().kysely;
    const user = await newTestUser(db, catalog);
    await user.push(contact(1, 'only'));
    const cursor = Buffer.from(`key:${Number.MAX_SAFE_INTEGER}`).toString('base64url');
    const read = async (direction: Direction) =>
      (await readPage(db, user.id, { direction, size: 5, cursor })).nodes.length;
    expect([await read('forward'), await read('backward')]).toEqual([0, 1]);
  });
});
