// Apps in the field cannot be recalled: what clients were promised stays as it was.

import { readFile } from 'node:fs/promises';
import { CriticalityLevel, DiffRule, diff } from '@graphql-inspector/core';
import { buildSchema as buildSchemaFromText } from 'graphql';
import { describe, expect, it } from 'vitest';
import { buildSchema } from '../../schema/schema.ts';

const contract = await readFile(new URL('../../schema/contract.graphql', import.meta.url), 'utf8');
const breaking = async (text: string) => {
  const rules = [DiffRule.ignoreDescriptionChanges];
  const changes = await diff(buildSchemaFromText(text), buildSchema(), rules);
  return changes
    .filter(({ criticality }) => criticality.level === CriticalityLevel.Breaking)
    .map(({ message }) => message);
};

describe('the schema, against the contract', () => {
  it('breaks no client', async () => {
    expect(await breaking(contract)).toEqual([]);
  });

  it('would be found out if it did', async () => {
    const withMore = `${contract}\nextend type User { nickname: String! }`;
    expect(await breaking(withMore)).toEqual([
      "Field 'nickname' was removed from object type 'User'",
    ]);
  });
});
