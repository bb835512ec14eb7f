// Operations made from the schema: each root field with arguments that fit, and names of things wherever a text can stand.

import fc from 'fast-check';
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLObjectType,
  getNamedType,
  getNullableType,
  isEnumType,
  isInputObjectType,
  isListType,
  isObjectType,
} from 'graphql';
import { mail } from '../../schema/fixture.ts';

/** The fields of a type. */
export function fieldsOf(
  type: GraphQLObjectType | null | undefined,
): GraphQLField<unknown, unknown>[] {
  return type ? Object.values(type.getFields()) : [];
}

/** An operation of one root field, its arguments being variables, that asks for all plain fields of the answer. */
export function textOf(root: GraphQLObjectType, field: GraphQLField<unknown, unknown>): string {
  const kind = root.name.toLowerCase();
  const variables = field.args.map(({ name, type }) => `$${name}: ${type}`).join(', ');
  const args = field.args.map(({ name }) => `${name}: $${name}`).join(', ');
  const [declared, passed] = variables === '' ? ['', ''] : [`(${variables})`, `(${args})`];
  const answer = getNamedType(field.type);
  const inner = isObjectType(answer) ? leavesOf(answer) : '{ __typename }';
  return `${kind} ${declared} { ${field.name}${passed} ${inner} }`;
}

/** All fields of a type that have no fields themselves and need no arguments. */
export function leavesOf(type: GraphQLObjectType): string {
  const leaves = fieldsOf(type).filter(
    ({ type: of, args }) =>
      !('getFields' in getNamedType(of)) && !('getTypes' in getNamedType(of)) && args.length === 0,
  );
  return `{ __typename ${leaves.map(({ name }) => name).join(' ')} }`;
}

/** Arguments that fit, each of which names something by one of the names. */
export function argumentsOf(args: readonly GraphQLArgument[], names: readonly string[]) {
  return fc
    .tuple(
      ...args.map(({ name, type }) =>
        fc.constantFrom(...names).map((of) => [name, valueFor(type, name, of)]),
      ),
    )
    .map((entries) => Object.fromEntries(entries) as Record<string, unknown>);
}

/** A value of the type that names something by `name` wherever a text can. */
export function valueFor(type: GraphQLInputType, field: string, name: string): unknown {
  const of = getNullableType(type);
  if (isListType(of)) return [valueFor(of.ofType, field, name)];
  if (isEnumType(of)) return of.getValues()[0]?.name;
  if (isInputObjectType(of)) {
    const fields = Object.values(of.getFields());
    // of an adapter's choices one at a time
    const asked = of.name === 'AdapterChoiceInput' ? fields.slice(0, 1) : fields;
    return Object.fromEntries(asked.map((one) => [one.name, valueFor(one.type, one.name, name)]));
  }
  return SCALARS[`${of}`]?.(field, name) ?? null;
}

const SCALARS: Readonly<Record<string, (field: string, name: string) => unknown>> = {
  Int: () => 1,
  Float: () => 0,
  Boolean: () => false,
  DateTime: () => '2026-01-01T00:00:00Z',
  Cursor: (_, name) => name,
  JSON: (field) => (field === 'data' ? mail(1).data : { body: 'Hello' }),
  ID: (field, name) => (field === 'clientId' ? null : name),
  String: (field, name) =>
    ({ mode: 'subject', source: 'mail.sent', kind: 'UPSERT' })[field] ?? name,
};
