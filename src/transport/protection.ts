import { LIMITS, type Limits } from './limits.ts';
import { openRateLimits, type RateLimits } from './rate-limits.ts';
import { type FindDocument, findDocumentIn } from './trusted-documents.ts';

/** How a server guards itself against its clients. */
export interface Protection {
  readonly limits: Limits;
  readonly rates: RateLimits;
  /** Finds the text of a request's document; refuses those that are not trusted. */
  readonly findDocument: FindDocument;
  /** Open to the world: tells nobody what the schema holds, and has no query editor. */
  readonly isProduction: boolean;
  /** Refuses GETs without a header (`apollo-require-preflight`, `x-apollo-operation-name`) that no link of others can send,
   *  also from those with a token. */
  readonly refusesPlainGets: boolean;
  /** How many proxies of our own stand before the server. */
  readonly proxies: number;
}

/** The usual protection of a server that only this machine reaches, but for what is given. */
export function protectionWith(given: Partial<Protection> = {}): Protection {
  return {
    limits: LIMITS,
    rates: openRateLimits(),
    findDocument: findDocumentIn(null),
    isProduction: false,
    refusesPlainGets: given.isProduction ?? false,
    proxies: 0,
    ...given,
  };
}
