import { PGlite } from '@electric-sql/pglite';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { PglitePool } from '../../src/db/pglite-pool.ts';

let pool: PglitePool;
beforeAll(async () => {
  pool = new PglitePool(await PGlite.create());
  await pool.query('create table numbers (n integer)');
});
beforeEach(() => pool.query('delete from numbers'));
afterAll(() => pool.end());

const numbers = async () => {
  const { rows } = await pool.query<{ n: number }>('select n from numbers order by n');
  return rows.map(({ n }) => n);
};

it('lets a client listen for ever without holding up the others', async () => {
  const listener = await pool.connect();
  await listener.query('listen news');
  const heard = new Promise((resolve) => listener.on('notification', resolve));
  await pool.query(`notify news, 'hello'`);
  expect(await heard).toEqual({ channel: 'news', payload: 'hello' });
});

it('keeps statements of others out of an open transaction', async () => {
  const client = await pool.connect();
  await client.query('begin');
  const other = pool.query('insert into numbers values (1)');
  await client.query('insert into numbers values (2)');
  await client.query('rollback');
  client.release();
  await other;
  expect(await numbers()).toEqual([1]);
});

it('runs the statements of one client in the order they were asked for', async () => {
  const client = await pool.connect();
  const statements = ['begin', 'insert into numbers values (1)', 'commit', 'delete from numbers'];
  await Promise.all(statements.map((statement) => client.query(statement)));
  client.release();
  expect(await numbers()).toEqual([]);
});

it('rolls back what a client leaves open when it is released', async () => {
  const client = await pool.connect();
  await client.query('begin');
  await client.query('insert into numbers values (1)');
  client.release();
  expect(await numbers()).toEqual([]);
});

it('goes on after a statement that fails, inside a transaction and outside', async () => {
  await expect(pool.query('select nonsense')).rejects.toThrow('nonsense');
  const client = await pool.connect();
  await client.query('begin');
  await expect(client.query('select nonsense')).rejects.toThrow('nonsense');
  await client.query('rollback');
  client.release();
  expect(await numbers()).toEqual([]);
});

it('runs several statements at once when there are no values, and the last one answers', async () => {
  const { rows } = await pool.query('insert into numbers values (7); select n from numbers');
  expect(rows).toEqual([{ n: 7 }]);
});

it('counts the rows that a statement changed', async () => {
  const result = await pool.query('insert into numbers select * from generate_series(1, $1)', [3]);
  expect(result).toMatchObject({ command: 'INSERT', rowCount: 3 });
});

it('refuses statements once it has ended', async () => {
  const ended = new PglitePool(await PGlite.create());
  await ended.end();
  await expect(ended.query('select 1')).rejects.toThrow('closed');
});
