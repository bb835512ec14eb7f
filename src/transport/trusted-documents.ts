// The documents of our own apps, known beforehand: Apollo's manifest of persisted queries.

import { readFile } from 'node:fs/promises';
import { AppError } from '../lib/errors.ts';
import { sha256 } from '../lib/sha256.ts';
import { shown } from '../lib/shown.ts';
import { StartError } from '../lib/start-error.ts';

/** Texts of documents by id. */
export type Manifest = ReadonlyMap<string, string>;

/** The parts of a request that name its document. */
export interface DocumentRequest {
  readonly query?: unknown;
  readonly documentId?: unknown;
  readonly extensions?: unknown;
}

/** Finds the text of a request's document, in the manifest if there is one. */
export type FindDocument = (request: DocumentRequest) => string | undefined;

/** Reads a manifest (`apollo-persisted-query-manifest`, version 1). Throws StartError saying what is wrong with it. */
export async function readManifest(path: string): Promise<Manifest> {
  try {
    const { format, version, operations } = JSON.parse(await readFile(path, 'utf8'));
    if (format !== 'apollo-persisted-query-manifest' || version !== 1) {
      throw new Error(`it is of format ${format}, version ${version}`);
    }
    return new Map(operations.map(readEntry));
  } catch (cause) {
    const { message } = cause as Error;
    const expected = 'expected an apollo-persisted-query-manifest of version 1';
    throw new StartError(
      `The trusted documents ${path} cannot be read: ${message} (${expected}).`,
      {
        cause,
      },
    );
  }
}

function readEntry({ id, body }: { id?: unknown; body?: unknown }): readonly [string, string] {
  if (typeof id === 'string' && typeof body === 'string') return [id, body];
  throw new Error('an operation lacks its id or its body');
}

/** With a manifest, only what is in it is run: by id, or by the very text. Without one, any text. Returns undefined for
 *  a request that names no document that could be looked for. Throws FORBIDDEN or BAD_INPUT with the remedy. */
export function findDocumentIn(manifest: Manifest | null): FindDocument {
  if (manifest === null) return textOf;
  const trusted = new Set([...manifest.values()].map((body) => sha256(body)));
  return (request) => {
    const id = documentIdOf(request);
    if (id !== undefined) return documentOf(manifest, id);
    const text = textOf(request);
    if (text === undefined || trusted.has(sha256(text))) return text;
    throw new AppError(
      'FORBIDDEN',
      'Only documents of the manifest are run here: send the documentId of one.',
    );
  };
}

function documentOf(manifest: Manifest, id: string): string {
  const text = manifest.get(id);
  if (text !== undefined) return text;
  const remedy = 'Give the server the manifest of this version of the app.';
  throw new AppError('BAD_INPUT', `No trusted document has the id ${shown(id)}. ${remedy}`);
}

/** Over a WebSocket a request always has a query, if an empty one. */
function textOf({ query }: DocumentRequest): string | undefined {
  return typeof query === 'string' && query !== '' ? query : undefined;
}

/** `documentId`, or what Apollo's clients send in its place. */
function documentIdOf({ documentId, extensions }: DocumentRequest): string | undefined {
  const { persistedQuery, documentId: extra } = (extensions ?? {}) as {
    persistedQuery?: { sha256Hash?: unknown };
    documentId?: unknown;
  };
  const id = documentId ?? extra ?? persistedQuery?.sha256Hash;
  return typeof id === 'string' ? id : undefined;
}
