// Apps in the field cannot be recalled: what clients were promised stays as it was.

import { readFile } from 'node:fs/promises';
import { CriticalityLevel, DiffRule, diff } from '@graphql-inspector/core';
import { buildSchema as buildSchemaFromText } from 'graphql';
import { describe, expect, it } from 'vitest';
import { breakingChanges } from '../../schema/breaking-changes.ts';
import { buildSchema } from '../../schema/schema.ts';

const breaking = async (text: string) => {
  const rules = [DiffRule.ignoreDescriptionChanges];
  const changes = await diff(buildSchemaFromText(text), buildSchema(), rules);
  return changes
    .filter(({ criticality }) => criticality.level === CriticalityLevel.Breaking)
    .map(({ message }) => message);
};

describe.each(['contract.graphql', 'schema.graphql'])('the schema, against %s', (name) => {
  const committed = readFile(new URL(`../../schema/${name}`, import.meta.url), 'utf8');

  it('breaks no client', async () => {
    expect(await breaking(await committed)).toEqual([]);
  });

  it('would be found out if it did', async () => {
    const withMore = `${await committed}\nextend type User { nickname: String! }`;
    expect(await breaking(withMore)).toEqual([
      "Field 'nickname' was removed from object type 'User'",
    ]);
  });
});

describe('what `npm run schema` does not write without being told to', () => {
  const before = `type Query { user(id: ID): String! @deprecated, name(id: ID): String } enum Kind { A B }`;
  it.each([
    ['a field is gone', before.replace(', name(id: ID): String', ''), 'Query.name was removed.'],
    [
      'an argument is demanded',
      before.replace('id: ID)', 'id: ID!)'),
      'Query.user arg id has changed type from ID to ID!.',
    ],
    ['a value is gone', before.replace('A B', 'A'), 'B was removed from enum type Kind.'],
    [
      'a field may be null',
      before.replace('String!', 'String'),
      'Query.user changed type from String! to String.',
    ],
    [
      'a deprecated field is gone',
      before.replace('user(id: ID): String! @deprecated,', ''),
      'Query.user was removed.',
    ],
  ])('%s', (_, after, expected) => {
    expect(breakingChanges(before, buildSchemaFromText(after))).toEqual([expected]);
  });

  it('is not what only adds something', () => {
    const more = before.replace('name(', 'age: Int, name(').replace('A B', 'A B C');
    expect(breakingChanges(before, buildSchemaFromText(more))).toEqual([]);
  });
});
