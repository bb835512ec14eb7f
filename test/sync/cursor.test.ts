import { createHmac } from 'node:crypto';
import { expect, it } from 'vitest';
import { decodeCursor, encodeCursor } from '../../src/sync/cursor.ts';

const secret = new Uint8Array(32).fill(7);
const position = { epoch: 'e', seq: 12, freshThrough: 3 };

it('keeps its form: devices keep cursors for months, and another form makes all of them resync (FEED-9)', () => {
  expect(encodeCursor(secret, 'ada', position)).toBe(
    'WzEsImUiLDEyLDNd.yV_XktiIYZdirwcYWxbJgsfn-ntiY8nUTlSoarg9bvU',
  );
});

it('gives the position back to the user and the secret it was made for, and to nobody else', () => {
  const cursor = encodeCursor(secret, 'ada', position);
  expect(decodeCursor(secret, 'ada', cursor)).toEqual(position);
  expect(decodeCursor(secret, 'bob', cursor)).toBe('UNKNOWN_CURSOR');
  expect(decodeCursor(new Uint8Array(32), 'ada', cursor)).toBe('UNKNOWN_CURSOR');
});

it('says that a cursor is of another schema, when it is signed and its version is another', () => {
  const payload = Buffer.from('[2,{"another":"form"}]').toString('base64url');
  const signature = createHmac('sha256', secret).update(`ada.${payload}`).digest('base64url');
  expect(decodeCursor(secret, 'ada', `${payload}.${signature}`)).toBe('OTHER_SCHEMA');
});
