// PGlite in the shape of a pg.Pool, for Kysely and for BullMQ alike.
// PGlite has one session. Whoever begins a transaction owns it until commit or rollback; everybody else waits.
// Owning it from connect() to release() instead would block for ever: BullMQ keeps a client for LISTEN.

import { EventEmitter } from 'node:events';
import type { PGlite } from '@electric-sql/pglite';

const BEGINS = /^\s*(begin|start transaction)[^;]*;?\s*$/i;
const ENDS = /^\s*(commit|rollback)\s*;?\s*$/i;

/** What a statement answers, as `pg` has it. */
export interface SqlResult<Row> {
  readonly command: 'UPDATE' | 'DELETE' | 'INSERT' | 'SELECT' | 'MERGE';
  readonly rowCount: number;
  readonly rows: Row[];
}

/** Gives the session to one caller at a time, in order of asking. */
interface Session {
  readonly pglite: PGlite;
  /** Resolves when the session is the caller's, with what gives it back. */
  acquire(): Promise<() => void>;
}

/** A pool whose clients share PGlite's one session. Clients emit 'notification' for every channel anyone listens to. */
export class PglitePool extends EventEmitter {
  readonly #session: Session;
  readonly #clients = new Set<PgliteClient>();

  constructor(pglite: PGlite) {
    super();
    this.#session = { pglite, acquire: turnstile() };
    pglite.onNotification((channel, payload) => {
      for (const client of this.#clients) client.emit('notification', { channel, payload });
    });
  }

  /** A client of its own queue of statements; never waits for other clients. */
  connect(): Promise<PgliteClient> {
    const client = new PgliteClient(this.#session, () => this.#clients.delete(client));
    this.#clients.add(client);
    return Promise.resolve(client);
  }

  /** One statement outside any transaction. */
  async query<Row>(text: string, values: readonly unknown[] = []): Promise<SqlResult<Row>> {
    const client = await this.connect();
    return client.query<Row>(text, values).finally(() => client.release());
  }

  /** Closes PGlite after the transaction that is under way. */
  async end(): Promise<void> {
    const giveBack = await this.#session.acquire();
    await this.#session.pglite.close().finally(giveBack);
  }
}

/** One borrower of the session; its statements run in the order they were asked for. */
class PgliteClient extends EventEmitter {
  readonly #session: Session;
  readonly #onRelease: () => void;
  #lastStatement: Promise<unknown> = Promise.resolve();
  /** Set while this client's transaction is open: gives the session back. */
  #giveBack: (() => void) | null = null;

  constructor(session: Session, onRelease: () => void) {
    super();
    this.#session = session;
    this.#onRelease = onRelease;
  }

  /** Runs one statement, or several when there are no values. */
  query<Row>(text: string, values: readonly unknown[] = []): Promise<SqlResult<Row>> {
    const result = this.#lastStatement.then(() => this.#run<Row>(text, values));
    this.#lastStatement = result.catch(() => undefined);
    return result;
  }

  async #run<Row>(text: string, values: readonly unknown[]): Promise<SqlResult<Row>> {
    const giveBack = this.#giveBack ?? (await this.#session.acquire());
    try {
      const result = await execute(this.#session.pglite, text, values);
      if (BEGINS.test(text)) this.#giveBack = giveBack;
      if (ENDS.test(text)) this.#giveBack = null;
      return result as SqlResult<Row>;
    } finally {
      if (this.#giveBack === null) giveBack();
    }
  }

  /** Ends the borrowing; a transaction left open is rolled back. */
  release(): void {
    this.removeAllListeners();
    this.#onRelease();
    void this.#lastStatement.then(() =>
      this.#giveBack === null ? null : this.#run('rollback', []),
    );
  }
}

/** Without values the simple protocol, which takes several statements at once (migrations); the last one answers. */
async function execute(pglite: PGlite, text: string, values: readonly unknown[]) {
  if (values.length > 0) return pglite.query(text, [...values]);
  return (await pglite.exec(text)).at(-1) ?? { command: 'SELECT', rowCount: 0, rows: [] };
}

function turnstile(): () => Promise<() => void> {
  let last: Promise<void> = Promise.resolve();
  return () => {
    const previous = last;
    let open = () => {};
    last = new Promise((resolve) => {
      open = resolve;
    });
    return previous.then(() => open);
  };
}
