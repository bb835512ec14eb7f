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
  expect(decodeCursor(secret, 'bob', cursor)).toBeNull();
  expect(decodeCursor(new Uint8Array(32), 'ada', cursor)).toBeNull();
});
