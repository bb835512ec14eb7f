// The parts of IndexedDB, Web Locks and the file system that browser-storage.ts uses, as promises. Written out here because the SDK is
// compiled without a browser's types.

/** A request of IndexedDB. */
export interface DbRequest<T> {
  readonly result: T;
  readonly error: unknown;
  onsuccess: (() => void) | null;
  onerror: (() => void) | null;
}

/** A database that is open. */
export interface Db {
  createObjectStore(name: string): unknown;
  transaction(stores: string[], mode: string, options: { durability: string }): DbTransaction;
  close(): void;
}

/** All or nothing, once `oncomplete` is called. */
export interface DbTransaction {
  objectStore(name: string): DbStore;
  readonly error: unknown;
  abort(): void;
  oncomplete: (() => void) | null;
  onabort: (() => void) | null;
}

/** Keys are strings, or arrays of strings and numbers in their order. */
export type DbKey = string | readonly (string | number)[];

/** One store of a transaction. */
export interface DbStore {
  get(key: DbKey): DbRequest<unknown>;
  getAll(range?: unknown): DbRequest<unknown[]>;
  getAllKeys(range?: unknown): DbRequest<DbKey[]>;
  put(value: unknown, key: DbKey): DbRequest<unknown>;
  delete(key: unknown): DbRequest<unknown>;
}

/** What a browser has in its global object. */
export interface BrowserGlobals {
  readonly indexedDB: {
    open(name: string, version: number): DbRequest<Db> & { onupgradeneeded: (() => void) | null };
  };
  readonly IDBKeyRange: { bound(from: DbKey, to: DbKey): unknown };
  readonly navigator: {
    readonly storage?: { getDirectory?(): Promise<unknown> };
    readonly locks: {
      request(
        name: string,
        options: { ifAvailable: boolean },
        held: (lock: unknown) => Promise<void> | undefined,
      ): Promise<unknown>;
    };
  };
}

/** The request's result. */
export function resultOf<T>(request: DbRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Resolves when the transaction is on the disk. */
export function completionOf(transaction: DbTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}
