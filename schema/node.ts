// Relay's global ids: every object with an `id`, and the one place that finds an object by it.

import { idArg, interfaceType, nonNull, nullable, queryField } from 'nexus';
import { AppError } from '../src/lib/errors.ts';
import { fromGlobalId, type NodeType, toGlobalId } from '../src/lib/global-id.ts';
import { shown } from '../src/lib/shown.ts';
import type { Context } from './context.ts';
import type { Node as NodeSource } from './source-types.ts';

/** What has a global id. */
export const Node = interfaceType({
  name: 'Node',
  description: 'An object with a global id: `node(id)` finds it again.',
  resolveType: (source) => source.nodeType,
  definition(t) {
    t.id('id', { description: 'Global and opaque.' });
  },
});

/** The `id` field of a type whose objects have `id` as their own. */
export const globalId =
  (type: NodeType) =>
  (source: { readonly id: string }): string =>
    toGlobalId(type, source.id);

/** The own id behind a client's id of the given type. Throws NOT_FOUND for anything else, so that a wrong id and
 *  another user's id look the same. */
export function ownId(type: NodeType, id: string, argument: string): string {
  const named = fromGlobalId(id);
  if (named?.type === type) return named.id;
  throw notFound(argument, id);
}

/** The error for an id that names nothing of the viewer's. */
function notFound(argument: string, id: string): AppError {
  return new AppError('NOT_FOUND', `${argument} is ${shown(id)}: you have nothing with this id.`);
}

/** Any object of the viewer's, by its global id. */
export const nodeQuery = queryField('node', {
  type: nullable(Node),
  description: "Any of the viewer's objects by its id.",
  args: { id: nonNull(idArg()) },
  async resolve(_, { id }, context) {
    const named = fromGlobalId(id);
    const found = named === null ? null : await FINDERS[named.type](context, named.id);
    if (found === null) throw notFound('id', id);
    return found;
  },
});

type Found<T extends NodeType> = Extract<NodeSource, { nodeType: T }>;

/** How each type finds the viewer's object by its own id. */
const FINDERS: {
  readonly [T in NodeType]: (context: Context, id: string) => Promise<Found<T> | null>;
} = {
  User: async ({ viewer }, id) => mark('User', id, id === viewer.id ? viewer : null),
  Mode: async ({ services }, key) =>
    mark(
      'Mode',
      key,
      services.catalog.modes.find((mode) => mode.key === key),
    ),
  BaseModel: async ({ services: { base } }, sha256) =>
    mark('BaseModel', sha256, sha256 === base.sha256 ? base : null),
  Adapter: async ({ loaders }, id) => mark('Adapter', id, await loaders.adapter.load(id)),
  Dataset: async ({ loaders }, id) => mark('Dataset', id, await loaders.dataset.load(id)),
  TrainingRun: async ({ loaders }, id) => mark('TrainingRun', id, await loaders.run.load(id)),
  Device: async ({ loaders }, id) => mark('Device', id, await loaders.device.load(id)),
  Record: async ({ loaders }, id) => mark('Record', id, await loaders.record.load(id)),
  Completion: async ({ loaders }, id) => mark('Completion', id, await loaders.completion.load(id)),
};

function mark<T extends NodeType, Source extends object>(
  nodeType: T,
  id: string,
  source: Source | null | undefined,
) {
  return source ? { ...source, id, nodeType } : null;
}
