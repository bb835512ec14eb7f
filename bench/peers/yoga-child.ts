// GraphQL Yoga serving our schema, as its documentation starts it: everybody the same user, no checks. It has a copy of
// graphql of its own, so it gets the schema as text, with the resolvers of the fields that are asked for.

import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toGlobalId } from '../../src/lib/global-id.ts';

/** What of graphql-yoga is used here. Its own types, where they are there, change those of graphql for the product too. */
interface Yoga {
  createSchema(options: { typeDefs: string; resolvers: object }): object;
  createYoga(options: { schema: object; logging: boolean }): RequestListener;
}
const PACKAGE: string = 'graphql-yoga';
const { createSchema, createYoga } = (await import(PACKAGE)) as Yoga;

const viewer = { id: '00000000-0000-4000-8000-000000000000' };
const typeDefs = readFileSync(new URL('../../schema/schema.graphql', import.meta.url), 'utf8');
const schema = createSchema({
  typeDefs,
  resolvers: {
    Query: { viewer: () => viewer },
    User: { id: (user: typeof viewer) => toGlobalId('User', user.id) },
  },
});
const server = createServer(createYoga({ schema, logging: false }));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ url: `http://127.0.0.1:${port}`, tokens: ['none'] });
});
