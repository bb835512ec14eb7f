// Who is let in: somebody with a valid token that is good for something here, on a device that was not revoked.

import type { Services } from '../../schema/context.ts';
import type { Authenticator, Identity } from '../auth/token-claims.ts';
import { revoked } from '../changes/revoked-devices.ts';
import { ensureUser } from '../changes/users.ts';
import type { UserRow } from '../db/schema.ts';
import { AppError, must } from '../lib/errors.ts';
import { shown } from '../lib/shown.ts';
import { isScope } from './operation-scopes.ts';
import { type RateLimits, REFUSED_POINTS } from './rate-limits.ts';
import { Sessions } from './sessions.ts';

/** Somebody with a valid token. */
export interface Session {
  /** The row as it was when the session was opened: only `id` and `subject` are sure to be so still. */
  readonly viewer: UserRow;
  /** When the token ends; milliseconds since the Unix epoch. */
  readonly expiresAt: number;
  /** The one device that the token is for; null: any of the user's. */
  readonly deviceId: string | null;
  /** What the token is good for. */
  readonly scopes: readonly string[];
}

/** Who knocks. */
export interface Caller {
  /** The value of an `Authorization` header. */
  readonly authorization: string | undefined;
  readonly address: string;
}

/** Makes the check of callers, which remembers whom it has just let in. */
export function createAdmission(deps: {
  readonly services: Services;
  readonly authenticator: Authenticator;
  readonly rates: RateLimits;
}): (caller: Caller) => Promise<Session> {
  const { services } = deps;
  const sessions = new Sessions<Session>(services.clock);
  services.revokedDevices.onRevoked(() => sessions.clear());
  services.revokedDevices.onErased(() => sessions.clear());
  return async ({ authorization = '', address }) => {
    const known = sessions.find(authorization);
    if (known !== undefined) return known;
    const identity = await identify(deps, authorization, address);
    let session: Session | undefined;
    await services.revokedDevices.steadily(async () => {
      session = await openSession(services, identity);
      sessions.keep(authorization, session);
    });
    return must(session, 'the session was opened');
  };
}

async function openSession(
  { db, clock, revokedDevices }: Services,
  { subject, expiresAt, scopes, deviceId }: Identity,
): Promise<Session> {
  if (!scopes.some(isScope)) throw outOfScope(scopes);
  const viewer = await ensureUser(db, subject, new Date(clock.now()));
  if (deviceId !== null && (await revokedDevices.has({ userId: viewer.id, deviceId }))) {
    throw revoked(deviceId);
  }
  return { viewer, expiresAt, deviceId, scopes };
}

async function identify(
  { authenticator, rates }: Parameters<typeof createAdmission>[0],
  authorization: string,
  address: string,
): Promise<Identity> {
  try {
    return await authenticator.authenticate(authorization);
  } catch (error) {
    if (error instanceof AppError) await rates.spend('address', address, REFUSED_POINTS);
    throw error;
  }
}

function outOfScope(scopes: readonly string[]): AppError {
  const text = `The token is good for ${shown(scopes)} only: use one with the scope device.`;
  return new AppError('FORBIDDEN', text);
}
