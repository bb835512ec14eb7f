// How often, in one table, and who counts: this process alone, or all that share a Redis.

import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { AppError } from '../lib/errors.ts';

/** So many points within so many seconds. */
interface Rate {
  readonly points: number;
  readonly seconds: number;
}

/** What is limited, each for one key. */
export const RATES = {
  /** Requests, sockets and operations on these, of one address; a bad token counts REFUSED_POINTS more. A house full of
   *  phones that come back at once needs two for each. */
  address: { points: 12_000, seconds: 60 },
  /** Cost of a user's operations. */
  user: { points: 200_000, seconds: 60 },
  /** Cost of the operations of one device that its token names. */
  device: { points: 100_000, seconds: 60 },
  /** Tokens that a user's completions may have. */
  completionTokens: { points: 500_000, seconds: 3_600 },
} as const satisfies Record<string, Rate>;

/** Guessing tokens uses up an address's rate so many times as fast. */
export const REFUSED_POINTS = 40;

export type RateName = keyof typeof RATES;

/** Rates other than the usual ones. */
export type Rates = Readonly<Record<RateName, Rate>>;

/** Without `--production` the same rates leave room for a developer's load tests. */
const DEVELOPMENT_FACTOR = 100;

/** The rates of a server in production, or of a developer's. */
export function ratesOf(isProduction: boolean): Rates {
  if (isProduction) return RATES;
  const larger = (name: RateName) => ({
    ...RATES[name],
    points: RATES[name].points * DEVELOPMENT_FACTOR,
  });
  return {
    address: larger('address'),
    user: larger('user'),
    device: larger('device'),
    completionTokens: larger('completionTokens'),
  };
}

/** Counts points in a store; rejects with a RateLimiterRes when there are too many. */
export interface RateCounter {
  consume(key: string, points: number): Promise<unknown>;
}

/** Makes the counter of one rate. */
export type MakeCounter = (options: {
  keyPrefix: string;
  points: number;
  duration: number;
}) => RateCounter;

/** Counts what clients use. */
export interface RateLimits {
  /** Takes points off what the key may still use. Throws RATE_LIMITED with the time to wait. */
  spend(name: RateName, key: string, points: number): Promise<void>;
}

/** Counts in this process, or wherever `makeCounter` counts. */
export function openRateLimits(
  rates: Rates = RATES,
  makeCounter: MakeCounter = (options) => new RateLimiterMemory(options),
): RateLimits {
  const counterOf = (name: RateName) => {
    const { points, seconds } = rates[name];
    return makeCounter({ keyPrefix: `attune:rate:${name}`, points, duration: seconds });
  };
  const counters: Readonly<Record<RateName, RateCounter>> = {
    address: counterOf('address'),
    user: counterOf('user'),
    device: counterOf('device'),
    completionTokens: counterOf('completionTokens'),
  };
  return {
    async spend(name, key, points) {
      try {
        await counters[name].consume(key, points);
      } catch (error) {
        if (!(error instanceof RateLimiterRes)) throw error;
        throw rateLimited(name, rates[name], error);
      }
    },
  };
}

const WHAT: Readonly<Record<RateName, string>> = {
  address: 'requests from this address',
  user: "cost of this user's operations",
  device: "cost of this device's operations",
  completionTokens: "tokens of this user's completions",
};

function rateLimited(name: RateName, { points, seconds }: Rate, cause: RateLimiterRes): AppError {
  const text = `Too much at once: at most ${points} ${WHAT[name]} in ${seconds} s. Wait retryAfterMs and try again.`;
  // the time is not of the error's making, and the error is no Error
  return new AppError('RATE_LIMITED', text, { retryAfterMs: Math.max(1, cause.msBeforeNext) });
}
