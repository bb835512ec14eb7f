import { buildSchema, findBreakingChanges, type GraphQLSchema } from 'graphql';

/** What a client of the schema that the text describes may ask for and would no longer get, one sentence each. */
export function breakingChanges(before: string, after: GraphQLSchema): string[] {
  return findBreakingChanges(buildSchema(before), after).map(({ description }) => description);
}
