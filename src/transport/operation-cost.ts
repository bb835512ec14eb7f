// What an operation may cost at worst, reckoned before it runs: objects count one each, lists as many times as they may
// be long, and the few fields that make the server work count more.

import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isInterfaceType,
  isLeafType,
  isListType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  valueFromASTUntyped,
} from 'graphql';

type Variables = Readonly<Record<string, unknown>>;

/** The fields that cost more than a row read from the database. */
const WORK: Readonly<Record<string, number>> = {
  complete: 100,
  completionTokens: 100,
  publishAdapter: 100,
  retrain: 100,
  pushChanges: 50,
  eraseRecords: 100,
  eraseViewer: 100,
};

/** What a page holds when nobody says how much it shall, and the most that it ever holds. */
const PAGE = { usual: 20, most: 100 };
/** How long lists are that have no pages: modes, devices, files. */
const LIST_LENGTH = 10;
/** These lists are what their page holds, which has been counted where the page was asked for. */
const PAGE_LISTS = ['edges', 'events'];

/** The highest cost of the operation, for a valid document. */
export function operationCost(
  schema: GraphQLSchema,
  {
    document,
    operation,
    variables,
  }: {
    document: DocumentNode;
    operation: OperationDefinitionNode;
    variables: Variables;
  },
): number {
  const fragments = new Map(
    document.definitions.flatMap((one) =>
      one.kind === Kind.FRAGMENT_DEFINITION ? [[one.name.value, one] as const] : [],
    ),
  );
  const root = schema.getRootType(operation.operation);
  const values = { ...defaultsOf(operation), ...variables };
  return new CostMeter(schema, fragments, values).ofSelections(operation.selectionSet, root);
}

function defaultsOf({ variableDefinitions = [] }: OperationDefinitionNode): Variables {
  return Object.fromEntries(
    variableDefinitions.flatMap(({ variable, defaultValue }) =>
      defaultValue ? [[variable.name.value, valueFromASTUntyped(defaultValue)]] : [],
    ),
  );
}

class CostMeter {
  readonly #schema: GraphQLSchema;
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly #variables: Variables;
  /** A fragment costs the same wherever it is spread: many that spread each other are reckoned once each. */
  readonly #known = new Map<string, number>();

  constructor(
    schema: GraphQLSchema,
    fragments: ReadonlyMap<string, FragmentDefinitionNode>,
    variables: Variables,
  ) {
    this.#schema = schema;
    this.#fragments = fragments;
    this.#variables = variables;
  }

  ofSelections(set: SelectionSetNode, type: GraphQLNamedType | null | undefined): number {
    const costs = set.selections.map((one) => {
      if (one.kind === Kind.FRAGMENT_SPREAD) return this.#ofFragment(one.name.value);
      if (one.kind === Kind.FIELD) return this.#ofField(one, type);
      const condition = one.typeCondition?.name.value;
      return this.ofSelections(
        one.selectionSet,
        condition === undefined ? type : this.#schema.getType(condition),
      );
    });
    return costs.reduce((total, cost) => total + cost, 0);
  }

  #ofFragment(name: string): number {
    const fragment = this.#fragments.get(name);
    const known = this.#known.get(name);
    if (fragment === undefined || known !== undefined) return known ?? 0;
    const type = this.#schema.getType(fragment.typeCondition.name.value);
    const cost = this.ofSelections(fragment.selectionSet, type);
    this.#known.set(name, cost);
    return cost;
  }

  #ofField(node: FieldNode, parent: GraphQLNamedType | null | undefined): number {
    const hasFields = isObjectType(parent) || isInterfaceType(parent);
    const field = hasFields ? parent.getFields()[node.name.value] : undefined;
    // the schema's own description of itself, and __typename
    if (field === undefined) return 0;
    const type = getNamedType(field.type);
    const inner = node.selectionSet === undefined ? 0 : this.ofSelections(node.selectionSet, type);
    const own = WORK[field.name] ?? (isLeafType(type) ? 0 : 1);
    return own + this.#length(node, field) * inner;
  }

  /** How many times the field's selections may be worked through. */
  #length(node: FieldNode, field: GraphQLField<unknown, unknown>): number {
    const first = field.args.find(({ name }) => name === 'first');
    if (first !== undefined) return this.#pageSize(node, first.defaultValue);
    if (PAGE_LISTS.includes(field.name)) return 1;
    return isListType(getNullableType(field.type)) ? LIST_LENGTH : 1;
  }

  #pageSize({ arguments: args = [] }: FieldNode, byDefault: unknown): number {
    const sizes = args
      .filter(({ name }) => name.value === 'first' || name.value === 'last')
      .map(({ value }) => valueFromASTUntyped(value, this.#variables))
      .filter((value) => typeof value === 'number');
    const usual = typeof byDefault === 'number' ? byDefault : PAGE.usual;
    const size = sizes.length === 0 ? usual : Math.max(...sizes);
    // what is no page is refused where pages are read
    return Math.min(Math.max(size, 1), PAGE.most);
  }
}
