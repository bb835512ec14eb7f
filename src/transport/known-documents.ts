import type { DocumentNode } from 'graphql';

/** A token of a document is a character or more and takes some 400 bytes parsed: 100 MB at the very worst, a tenth of it
 *  for what people write. */
const MAX_CHARACTERS = 256 * 1024;

/** The valid documents that were asked for last, parsed, by the SHA-256 of their texts: an app has a few dozen, and asks
 *  for them again and again. */
export class KnownDocuments {
  readonly #documents = new Map<string, DocumentNode>();
  #characters = 0;

  /** The document whose text has this hash. */
  find(hash: string): DocumentNode | undefined {
    const document = this.#documents.get(hash);
    if (document === undefined) return undefined;
    // the map keeps its order: the one that was not asked for the longest comes first
    this.#documents.delete(hash);
    this.#documents.set(hash, document);
    return document;
  }

  /** Keeps a valid document, and forgets others when they come to too much. */
  keep(hash: string, document: DocumentNode): void {
    this.forget(hash);
    this.#documents.set(hash, document);
    this.#characters += lengthOf(document);
    for (const oldest of this.#documents.keys()) {
      if (this.#characters <= MAX_CHARACTERS) return;
      this.forget(oldest);
    }
  }

  forget(hash: string): boolean {
    const document = this.#documents.get(hash);
    if (document !== undefined) this.#characters -= lengthOf(document);
    return this.#documents.delete(hash);
  }
}

function lengthOf({ loc }: DocumentNode): number {
  return loc?.source.body.length ?? 0;
}
