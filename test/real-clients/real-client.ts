/** A client library as an app would set it up, behind what the suite asks of each. */
export interface RealClient {
  /** Runs a query or a mutation; rejects with the library's own error. */
  run(
    document: keyof typeof DOCUMENTS,
    variables?: Readonly<Record<string, unknown>>,
  ): Promise<Data>;
  /** Follows a subscription, over reconnections; returns what ends it. */
  follow?(onEvent: (data: Data) => void, onError: (error: unknown) => void): () => void;
  close?(): void | Promise<void>;
}

/** What comes back; the suite looks into answers of every shape. */
// biome-ignore lint/suspicious/noExplicitAny: the libraries' own types are not what is tested
export type Data = any;

/** Where a client goes, and as whom. */
export interface Access {
  readonly url: string;
  readonly token: string;
}

/** The suite's operations. */
export const DOCUMENTS = {
  Viewer: 'query Viewer { viewer { id } }',
  Register:
    'mutation Register($input: RegisterDeviceInput!) { registerDevice(input: $input) { id name } }',
  Find: 'query Find($id: ID!) { node(id: $id) { id } }',
  Events:
    'subscription Events { adapterEvents { __typename ... on AdapterReady { adapter { id version } } } }',
} as const;

/** The address of the WebSocket. */
export const socketUrl = (url: string) => url.replace(/^http/, 'ws');
