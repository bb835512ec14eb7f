// How much one client may ask for, in one table. Rates are in rate-limits.ts.

/** The bounds of requests, documents, operations and sockets. */
export interface Limits {
  /** Of a document's text. Comments and long names are no more tokens; what is long belongs in variables. */
  readonly characters: number;
  /** Of a document; more are refused before it is parsed whole: parsing costs more than linearly. */
  readonly tokens: number;
  /** Of a document, with its fragments spread: validating wide documents costs more than linearly. */
  readonly fields: number;
  readonly aliases: number;
  readonly directives: number;
  /** Levels of selections below the operation. */
  readonly depth: number;
  /** Of one operation with its variables, as operation-cost.ts reckons it. */
  readonly cost: number;
  /** How many mistakes of one document are told. */
  readonly validationErrors: number;
  /** How long a query or mutation may work; then its answer is cut off. */
  readonly operationMs: number;
  /** How long a client may take to send a request. */
  readonly requestMs: number;
  /** How long a client may take to say who it is on a new socket. */
  readonly socketInitMs: number;
  /** Operations at the same time on one socket. */
  readonly operationsPerSocket: number;
  readonly socketsPerUser: number;
  /** What waits for a client that reads too slowly; one that has more waiting is cut off, and resumes from its cursor. */
  readonly socketQueueBytes: number;
  /** As many answers as that wait: each takes more here than it has bytes, and anybody may send pings. */
  readonly socketQueueMessages: number;
  /** Of all that a socket says before it has said who it is. */
  readonly socketInitBytes: number;
}

/** The bounds unless a server is told others. */
export const LIMITS: Limits = Object.freeze({
  characters: 64 * 1024,
  tokens: 4_000,
  fields: 400,
  aliases: 30,
  directives: 30,
  depth: 16,
  cost: 10_000,
  validationErrors: 5,
  operationMs: 60_000,
  requestMs: 30_000,
  socketInitMs: 3_000,
  operationsPerSocket: 100,
  socketsPerUser: 50,
  socketQueueBytes: 8 * 1024 * 1024,
  socketQueueMessages: 1_000,
  socketInitBytes: 64 * 1024,
});

/** The largest request body and WebSocket frame: 4 MB of changes, and the words around them. */
export const MAX_REQUEST_BYTES = 5 * 1024 * 1024;
