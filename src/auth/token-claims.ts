// What a bearer token says once its signature has been found to be right; the same for every kind of key.

import { errors, type JWTPayload } from 'jose';
import type { AppError } from '../lib/errors.ts';

/** A subject names a row and appears in logs: long ones serve nobody. */
export const MAX_SUBJECT_CHARACTERS = 200;

/** How far the clocks of two machines may be apart. */
export const CLOCK_TOLERANCE_S = 5;

/** Who a valid token speaks for, and until when. */
export interface Identity {
  readonly subject: string;
  /** Milliseconds since the Unix epoch. */
  readonly expiresAt: number;
  /** What the bearer may do: `device` is the whole API of one user. */
  readonly scopes: readonly string[];
  /** The one device that may use the token; null: any. */
  readonly deviceId: string | null;
}

/** Checks the credentials of a request. */
export interface Authenticator {
  /** Takes the value of an `Authorization` header; throws AppError UNAUTHENTICATED with what is wrong and the remedy. */
  authenticate(authorization: string | undefined): Promise<Identity>;
}

/** Makes the error of a credential that is no good, with the remedy of its kind. */
export type Unauthenticated = (problem: string, cause?: unknown) => AppError;

/** Reads tokens of the form `Bearer ...` that `verify` finds signed by the right key. A token without a `scope` may do
 *  what a device may. */
export function bearerAuthenticator(
  verify: (token: string) => Promise<JWTPayload>,
  unauthenticated: Unauthenticated,
): Authenticator {
  return {
    authenticate: async (authorization) => {
      const token = bearerToken(authorization, unauthenticated);
      const payload = await verify(token).catch((error) => {
        throw refusalOf(error, unauthenticated);
      });
      return {
        subject: checkSubject(payload.sub, unauthenticated),
        expiresAt: (payload.exp ?? 0) * 1000,
        scopes: scopesOf(payload.scope, unauthenticated),
        deviceId: deviceOf(payload.device, unauthenticated),
      };
    },
  };
}

/** Some issuers write a list. What is neither a list nor a text is no leave for everything. */
function scopesOf(scope: unknown, unauthenticated: Unauthenticated): readonly string[] {
  if (scope === undefined) return ['device'];
  if (typeof scope === 'string') return scope.split(' ');
  if (Array.isArray(scope) && scope.every((one) => typeof one === 'string')) return scope;
  throw unauthenticated("the token's scope is neither a text nor a list of texts");
}

/** A token that names a device in a way that cannot be read is not one for all devices. */
function deviceOf(device: unknown, unauthenticated: Unauthenticated): string | null {
  if (device === undefined) return null;
  if (typeof device === 'string' && device !== '') return device;
  throw unauthenticated("the token's device is not the name of one");
}

/** Whether the text may name a user. */
export function isSubject(text: string): boolean {
  return /^[^\p{C}]+$/u.test(text) && text.length <= MAX_SUBJECT_CHARACTERS;
}

function bearerToken(authorization: string | undefined, unauthenticated: Unauthenticated): string {
  if (authorization === undefined || authorization === '') {
    throw unauthenticated('no token: send the header "Authorization: Bearer <token>"');
  }
  const token = /^Bearer +([^\s]+)$/i.exec(authorization)?.[1];
  if (token === undefined) {
    throw unauthenticated('the authorization is not of the form "Bearer <token>"');
  }
  return token;
}

function refusalOf(error: unknown, unauthenticated: Unauthenticated): unknown {
  if (error instanceof errors.JWTExpired) return unauthenticated('the token has expired', error);
  if (error instanceof errors.JOSEError) {
    return unauthenticated('the token is not one of this server', error);
  }
  return error;
}

function checkSubject(subject: string | undefined, unauthenticated: Unauthenticated): string {
  if (subject !== undefined && isSubject(subject)) return subject;
  throw unauthenticated(`the token's subject is not 1 to ${MAX_SUBJECT_CHARACTERS} characters`);
}
