// What a token must be good for, by root field: everything is a device's business, but for what operators do.

import {
  type DocumentNode,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import { AppError } from '../lib/errors.ts';
import { shown } from '../lib/shown.ts';

/** `device` is the whole API of one user; `operator` is what concerns users of any name. */
type Scope = 'device' | 'operator';

/** The fields that need another scope than `device`. */
const SCOPES: Readonly<Record<string, Scope>> = { revokeUserDevice: 'operator' };

/** Whether the text names a scope that is good for something here. */
export function isScope(text: string): text is Scope {
  return text === 'device' || text === 'operator';
}

/** Throws FORBIDDEN when the token is not good for the scope. */
export function requireScope(scopes: readonly string[], scope: Scope): void {
  if (scopes.includes(scope)) return;
  const text = `The token is good for ${shown(scopes)} only: use one with the scope ${scope}.`;
  throw new AppError('FORBIDDEN', text);
}

/** Throws FORBIDDEN when the operation has a field that the token is not good for. */
export function requireScopes(
  scopes: readonly string[],
  document: DocumentNode,
  operation: OperationDefinitionNode,
): void {
  for (const name of rootFields(document, operation.selectionSet)) {
    // what the schema says of itself, everybody may know who may know anything
    if (!name.startsWith('__')) requireScope(scopes, SCOPES[name] ?? 'device');
  }
}

/** The names of the selected fields, also of those in fragments; the document is valid, so no fragment holds itself. */
function rootFields(document: DocumentNode, { selections }: SelectionSetNode): string[] {
  return selections.flatMap((one) => {
    if (one.kind === Kind.FIELD) return [one.name.value];
    if (one.kind === Kind.INLINE_FRAGMENT) return rootFields(document, one.selectionSet);
    const fragment = document.definitions.find(
      (each) => each.kind === Kind.FRAGMENT_DEFINITION && each.name.value === one.name.value,
    );
    return fragment?.kind === Kind.FRAGMENT_DEFINITION
      ? rootFields(document, fragment.selectionSet)
      : [];
  });
}
