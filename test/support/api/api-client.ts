import { type Client, createClient } from 'graphql-ws';
import WebSocket from 'ws';

type Variables = Readonly<Record<string, unknown>>;

/** An error as clients see it. */
export interface ApiError {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions: { readonly code: string; readonly retryAfterMs?: number };
}

/** The whole answer to an operation. */
export interface ApiResult {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly data: any;
  readonly errors: readonly ApiError[];
}

/** A client of the API as an app would be one: GraphQL over HTTP and over a WebSocket. */
export class ApiClient {
  readonly url: string;
  readonly token: string | undefined;

  constructor(url: string, token: string | undefined) {
    this.url = url;
    this.token = token;
  }

  /** Sends an operation and returns all that comes back. */
  async send(query: string, variables: Variables = {}): Promise<ApiResult> {
    const response = await this.post(JSON.stringify({ query, variables }));
    const { data, errors = [] } = (await response.json()) as Partial<ApiResult>;
    return { status: response.status, headers: response.headers, data, errors };
  }

  /** The operation's data; throws when it has errors. */
  async ask(query: string, variables: Variables = {}): Promise<ApiResult['data']> {
    const { data, errors } = await this.send(query, variables);
    if (errors.length > 0) throw new Error(`the operation failed: ${JSON.stringify(errors)}`);
    return data;
  }

  /** A POST of this body, as it is. */
  post(body: string | Uint8Array, headers: Record<string, string> = {}, signal?: AbortSignal) {
    return fetch(`${this.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(this.token !== undefined && { authorization: `Bearer ${this.token}` }),
        ...headers,
      },
      body,
      ...(signal && { signal }),
    });
  }

  /** An open socket; operations over it fail with the errors or the close event that the server sends. */
  socket(connectionParams: Record<string, unknown> = this.#credentials()): Client {
    return createClient({
      url: `${this.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams,
      retryAttempts: 0,
      lazyCloseTimeout: 0,
    });
  }

  /** The first answer over a socket, whichever kind of message it comes in. */
  async first(query: string, variables: Variables = {}): Promise<Partial<ApiResult>> {
    const socket = this.socket();
    try {
      const { value } = await socket.iterate({ query, variables }).next();
      return value as Partial<ApiResult>;
    } catch (errors) {
      if (!Array.isArray(errors)) throw errors;
      return { errors };
    } finally {
      await socket.dispose();
    }
  }

  #credentials(): Record<string, unknown> {
    return this.token === undefined ? {} : { authorization: `Bearer ${this.token}` };
  }
}
