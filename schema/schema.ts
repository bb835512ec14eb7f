// All types put together. The order of a type's fields is its file's; the order of types in the printed schema is
// the alphabet's.

import { fileURLToPath } from 'node:url';
import type { GraphQLSchema } from 'graphql';
import { type core, makeSchema } from 'nexus';
import * as adapter from './adapter.ts';
import * as adapterUpload from './adapter-upload.ts';
import * as baseModel from './base-model.ts';
import * as complete from './complete.ts';
import * as completion from './completion.ts';
import { PageInfo } from './connection.ts';
import * as dataset from './dataset.ts';
import * as device from './device.ts';
import * as erasure from './erasure.ts';
import * as feed from './feed.ts';
import { File } from './file.ts';
import * as mode from './mode.ts';
import { Node, nodeQuery } from './node.ts';
import * as pushChanges from './push-changes.ts';
import * as record from './record.ts';
import * as revokedDevice from './revoked-device.ts';
import * as roots from './roots.ts';
import * as scalars from './scalars.ts';
import * as trainingRun from './training-run.ts';
import * as user from './user.ts';

const pathOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));

const TYPES = [
  adapter,
  adapterUpload,
  baseModel,
  complete,
  completion,
  dataset,
  device,
  erasure,
  feed,
  mode,
  pushChanges,
  record,
  revokedDevice,
  scalars,
  trainingRun,
  user,
  roots,
  { File, Node, PageInfo, nodeQuery },
].map(inOrder);

/** A module's exports come in another order under another loader; the generated files must not. */
function inOrder(module: object): unknown[] {
  const entries = Object.entries(module).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([, type]) => type);
}

/** The types, and what Nexus needs to know to type their resolvers. */
export const SCHEMA_CONFIG: core.SchemaConfig = {
  types: TYPES,
  nonNullDefaults: { output: true, input: false },
  contextType: { module: pathOf('context.ts'), export: 'Context' },
  sourceTypes: { modules: [{ module: pathOf('source-types.ts'), alias: 'source' }] },
  shouldGenerateArtifacts: false,
};

/** The schema with its resolvers. */
export function buildSchema(): GraphQLSchema {
  return makeSchema(SCHEMA_CONFIG);
}
