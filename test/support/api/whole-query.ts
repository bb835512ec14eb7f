import {
  type GraphQLNamedType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNamedType,
  isInterfaceType,
  isObjectType,
  isRequiredArgument,
  isUnionType,
} from 'graphql';

/** Arguments for the fields that cannot do without. */
const ARGUMENTS: Readonly<Record<string, string>> = { 'User.mode': '(key: "subject")' };

/** A query for everything that can be reached from the viewer in so many steps. */
export function wholeQuery(schema: GraphQLSchema, depth: number): string {
  return `{ viewer ${selection(schema.getType('User'), depth)} }`;
}

function selection(type: GraphQLNamedType | undefined, depth: number): string {
  if (isUnionType(type)) {
    const members = type.getTypes().map((member) => `... on ${member} ${selection(member, depth)}`);
    return `{ __typename ${members.join(' ')} }`;
  }
  if (!isObjectType(type) && !isInterfaceType(type)) return '';
  const fields = Object.values(type.getFields()).flatMap((field) => {
    const args = ARGUMENTS[`${type}.${field.name}`] ?? '';
    if (args === '' && field.args.some(isRequiredArgument)) return [];
    const inner =
      isLeaf(field.type) || depth === 0 ? '' : selection(getNamedType(field.type), depth - 1);
    // members of a union may have fields of one name and another type
    return isLeaf(field.type) || inner !== ''
      ? [`${type}_${field.name}: ${field.name}${args} ${inner}`]
      : [];
  });
  return `{ __typename ${fields.join(' ')} }`;
}

function isLeaf(type: GraphQLOutputType): boolean {
  const named = getNamedType(type);
  return !isObjectType(named) && !isInterfaceType(named) && !isUnionType(named);
}
