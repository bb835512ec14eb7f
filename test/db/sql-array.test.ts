import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { columnOf } from '../../src/db/sql-array.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';

const ID = '00010203-0405-4607-8809-0a0b0c0dfeff';

const ROWS = [
  row(`"a\\b" {c,NULL}`, 0, '2026-01-31T12:00:00.123Z', [0, 1, 255]),
  row('', -(2 ** 31), '0001-01-01T00:00:00.000Z', []),
  row('zwölf 🛶', 2 ** 31 - 1, '9999-12-31T23:59:59.999Z', [92, 120]),
  { text: null, integer: null, moment: null, bytes: null, uuid: null },
];

describeEachDatabase('columns as arrays', (database) => {
  it.each([
    ['none', []],
    ['one', ROWS.slice(0, 1)],
    ['all that may stand in one', ROWS],
  ])('arrive as they were: %s', async (_what, rows) => {
    // bytes and moments as numbers: a year before 100 is read as another
    const { rows: arrived } = await sql`
      select text, integer, (extract(epoch from moment) * 1000)::bigint as moment, encode(bytes, 'hex') as bytes, uuid
      from unnest(${columnOf(rows, 'text', 'text')}, ${columnOf(rows, 'integer', 'integer')},
        ${columnOf(rows, 'moment', 'timestamptz')}, ${columnOf(rows, 'bytes', 'bytea')},
        ${columnOf(rows, 'uuid', 'uuid')}) as row (text, integer, moment, bytes, uuid)`.execute(
      database().kysely,
    );
    const written = rows.map(({ moment, bytes, ...rest }) => ({
      ...rest,
      moment: moment?.getTime() ?? null,
      bytes: bytes?.toString('hex') ?? null,
    }));
    expect(arrived).toEqual(written);
  });
});

function row(text: string, integer: number, moment: string, bytes: readonly number[]) {
  return { text, integer, moment: new Date(moment), bytes: Buffer.from(bytes), uuid: ID };
}
