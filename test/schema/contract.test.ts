import { readFile } from 'node:fs/promises';
import {
  buildSchema as buildSchemaFromText,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLNamedType,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isNonNullType,
  isObjectType,
  isUnionType,
} from 'graphql';
import { describe, expect, it } from 'vitest';
import { generateArtifacts } from '../../schema/artifacts.ts';
import { buildSchema } from '../../schema/schema.ts';

/** A part of a schema: where it is, what it is, and what is said of it. */
interface Part {
  readonly place: string;
  readonly shape: string;
  readonly description: string | null | undefined;
  /** Whether a client that does not know the part fails without it. */
  readonly isDemanded: boolean;
}

const contractUrl = new URL('../../schema/contract.graphql', import.meta.url);
const promised = partsOf(buildSchemaFromText(await readFile(contractUrl, 'utf8')));
const built = partsOf(buildSchema());
const builtAt = new Map(built.map((one) => [one.place, one]));

describe('the schema', () => {
  it('has every type, field, argument, default, value and member of the contract as it is there', () => {
    const shapes = (parts: readonly Part[]) => parts.map(({ place, shape }) => `${place} ${shape}`);
    const have = new Set(shapes(built));
    expect(promised.length).toBeGreaterThan(200);
    expect(shapes(promised).filter((line) => !have.has(line))).toEqual([]);
  });

  it('says of every part what the contract says of it', () => {
    const said = promised.filter(({ description }) => description);
    const unsaid = said.filter(
      ({ place, description }) => !builtAt.get(place)?.description?.includes(description ?? ''),
    );
    expect(unsaid.map(({ place, description }) => `${place}: ${description}`)).toEqual([]);
  });

  it('demands of what the contract knows no input that it does not know', () => {
    const known = new Set(promised.map(({ place }) => place));
    /** The field of an argument, the type of an input's field: who uses neither is asked for nothing. */
    const ownerOf = (place: string) => place.replace(/\(.*\)$|\.\w+$/, '');
    const demanded = built.filter(
      ({ place, isDemanded }) => isDemanded && !known.has(place) && known.has(ownerOf(place)),
    );
    expect(demanded.map(({ place }) => place)).toEqual([]);
  });

  it('says something of every type', () => {
    const types = built.filter(({ place }) => /^\w+$/.test(place));
    expect(types.filter(({ description }) => !description).map(({ place }) => place)).toEqual([]);
  });

  it('is what the generated files say: after a change run `npm run schema`', async () => {
    for (const [path, content] of await generateArtifacts()) {
      expect(await readFile(path, 'utf8'), path).toBe(content);
    }
  });
});

function partsOf(schema: GraphQLSchema): Part[] {
  return Object.values(schema.getTypeMap())
    .filter(({ name }) => !name.startsWith('__'))
    .flatMap((type) => [part(type.name, type.constructor.name, type), ...membersOf(type)]);
}

function membersOf(type: GraphQLNamedType): Part[] {
  const at = (name: string) => `${type.name}.${name}`;
  if (isEnumType(type))
    return type.getValues().map((value) => part(at(value.name), 'value', value));
  if (isUnionType(type)) return type.getTypes().map(({ name }) => part(at(name), 'member'));
  if (isInputObjectType(type)) {
    return Object.values(type.getFields()).map((field) => inputPart(at(field.name), field));
  }
  if (!isObjectType(type) && !isInterfaceType(type)) return [];
  const fields = Object.values(type.getFields());
  return [
    ...type.getInterfaces().map(({ name }) => part(at(name), 'interface')),
    ...fields.flatMap((field) => fieldParts(at(field.name), field)),
  ];
}

function fieldParts(place: string, field: GraphQLField<unknown, unknown>): Part[] {
  const args = field.args.map((arg) => inputPart(`${place}(${arg.name})`, arg));
  return [part(place, `: ${field.type}`, field), ...args];
}

function inputPart(place: string, input: GraphQLArgument | GraphQLInputField): Part {
  const hasDefault = input.defaultValue !== undefined;
  const fallback = hasDefault ? ` = ${JSON.stringify(input.defaultValue)}` : '';
  return {
    ...part(place, `: ${input.type}${fallback}`, input),
    isDemanded: isNonNullType(input.type) && !hasDefault,
  };
}

function part(
  place: string,
  shape: string,
  { description }: { description?: string | null | undefined } = {},
): Part {
  return { place, shape, description, isDemanded: false };
}
