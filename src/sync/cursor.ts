// A cursor: a position in one user's feed, signed so that only positions we handed out are taken back.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Db } from '../db/database.ts';
import { recordFact } from '../db/facts.ts';

/** Another meaning of the fields needs another version: older cursors then resync. */
const VERSION = 1;

/** A position in a user's feed. */
export interface FeedPosition {
  /** The user's feedEpoch when it was handed out. */
  readonly epoch: string;
  /** Everything up to here was delivered. */
  readonly seq: number;
  /** For who started from null: up to here only what still matters is delivered. */
  readonly freshThrough: number;
}

/** The secret that signs the cursors, made at first use. It is kept in the database, so that all servers on it honour
 *  each other's cursors. */
export async function readCursorSecret(db: Db): Promise<Uint8Array> {
  const secret = await recordFact(db, 'cursor-secret', randomBytes(32).toString('hex'));
  return Buffer.from(secret, 'hex');
}

/** The cursor of a position: `<payload>.<signature>`, both base64url. */
export function encodeCursor(secret: Uint8Array, userId: string, position: FeedPosition): string {
  const { epoch, seq, freshThrough } = position;
  const payload = JSON.stringify([VERSION, epoch, seq, freshThrough]);
  return withSignature(secret, userId, Buffer.from(payload).toString('base64url'));
}

/** Why a cursor has no position: it was not made for this user with this secret, or by an older or newer server. */
export type CursorFlaw = 'UNKNOWN_CURSOR' | 'OTHER_SCHEMA';

/** The position of a cursor, if this very cursor was made for this user with this secret. */
export function decodeCursor(
  secret: Uint8Array,
  userId: string,
  cursor: string,
): FeedPosition | CursorFlaw {
  const payload = cursor.slice(0, cursor.indexOf('.'));
  const expected = Buffer.from(withSignature(secret, userId, payload));
  const given = Buffer.from(cursor);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    return 'UNKNOWN_CURSOR';
  }
  const [version, epoch, seq, freshThrough] = JSON.parse(
    Buffer.from(payload, 'base64url').toString(),
  ) as [number, string, number, number];
  return version === VERSION ? { epoch, seq, freshThrough } : 'OTHER_SCHEMA';
}

function withSignature(secret: Uint8Array, userId: string, payload: string): string {
  const signature = createHmac('sha256', secret).update(`${userId}.${payload}`);
  return `${payload}.${signature.digest('base64url')}`;
}
