// What a document must be before anything is done with it: small, and then valid.

import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  NoSchemaIntrospectionCustomRule,
  parse,
  specifiedRules,
  type ValidationRule,
  validate,
} from 'graphql';
import { AppError } from '../lib/errors.ts';
import { sha256 } from '../lib/sha256.ts';
import { KnownDocuments } from './known-documents.ts';
import type { Limits } from './limits.ts';
import { type DocumentSize, measureDocument } from './measure-document.ts';
import type { Protection } from './protection.ts';

/** How documents are checked. */
export interface DocumentCheck {
  /** Throws BAD_INPUT for a text of too many characters, fields, aliases, directives or levels. One that cannot be read, or has too
   *  many tokens, is left for its reader to refuse. */
  checkSize(text: string): void;
  /** The document, when it is small enough and the schema has what it asks for; else what is wrong with it. */
  read(text: string): DocumentNode | readonly GraphQLError[];
  /** What validation does besides the rules of the language. */
  readonly extraRules: readonly ValidationRule[];
  /** What was found to be valid lately, whoever found it: valid for one client is valid for all. */
  readonly known: KnownDocuments;
  readonly validationOptions: { readonly maxErrors: number; readonly hideSuggestions: boolean };
}

/** The checks of a server's documents. */
export function createDocumentCheck(
  schema: GraphQLSchema,
  { limits, isProduction }: Protection,
): DocumentCheck {
  const known = new KnownDocuments();
  const extraRules = isProduction ? [NoSchemaIntrospectionCustomRule] : [];
  const validationOptions = { maxErrors: limits.validationErrors, hideSuggestions: isProduction };
  const parseSmall = (text: string): DocumentNode => {
    if (text.length > limits.characters)
      throw tooLarge('characters', text.length, limits.characters);
    const document = parseShallow(text, limits.tokens);
    checkSizes(measureDocument(document), limits);
    return document;
  };
  return {
    extraRules,
    validationOptions,
    known,
    checkSize(text) {
      if (known.find(sha256(text)) !== undefined) return;
      try {
        parseSmall(text);
      } catch (error) {
        if (error instanceof GraphQLError) return;
        throw error;
      }
    },
    read(text) {
      const hash = sha256(text);
      const found = known.find(hash);
      if (found !== undefined) return found;
      const document = orError(() => parseSmall(text));
      if (document instanceof GraphQLError) return [document];
      const rules = [...specifiedRules, ...extraRules];
      const errors = validate(schema, document, rules, validationOptions);
      if (errors.length > 0) return errors;
      known.keep(hash, document);
      return document;
    },
  };
}

function parseShallow(text: string, maxTokens: number): DocumentNode {
  try {
    return parse(text, { maxTokens });
  } catch (error) {
    // the parser calls itself for every level of the document
    throw error instanceof RangeError ? tooDeep(error) : error;
  }
}

function tooDeep(cause: RangeError): AppError {
  return new AppError('BAD_INPUT', 'The document is nested too deeply: use variables.', { cause });
}

function orError<T>(read: () => T): T | GraphQLError {
  try {
    return read();
  } catch (error) {
    return error instanceof GraphQLError
      ? error
      : new GraphQLError('the document cannot be read', { originalError: error as Error });
  }
}

const SIZES: readonly (keyof DocumentSize)[] = ['depth', 'fields', 'aliases', 'directives'];

function checkSizes(size: DocumentSize, limits: Limits): void {
  const what = SIZES.find((name) => size[name] > limits[name]);
  if (what === undefined) return;
  throw tooLarge(what, size[what], limits[what]);
}

function tooLarge(what: string, count: number, limit: number): AppError {
  const text = `The document's ${what} come to ${count}; at most ${limit} are run. Ask for less at once.`;
  return new AppError('BAD_INPUT', text);
}
