// The size of a document as it will be worked through, found in one pass over what was written. Knows no schema, and
// takes documents that are not valid yet.

import {
  type DocumentNode,
  type FragmentDefinitionNode,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';

/** What is counted; fragments count wherever they are spread. */
export interface DocumentSize {
  readonly fields: number;
  readonly aliases: number;
  readonly directives: number;
  readonly depth: number;
}

const NOTHING: DocumentSize = { fields: 0, aliases: 0, directives: 0, depth: 0 };

/** Measures all operations of a document together, and the fragments that none of them spreads: validation looks at those too. */
export function measureDocument({ definitions }: DocumentNode): DocumentSize {
  const fragments = definitions.filter(isFragment);
  const { ofSelections, isMeasured } = measureWith(fragments);
  const operations = definitions.filter(isOperation);
  const spread = sum(operations.map(({ selectionSet }) => ofSelections(selectionSet)));
  const unspread = fragments.filter((one) => !isMeasured(one));
  return sum([
    ...[spread, ...unspread.map(({ selectionSet }) => ofSelections(selectionSet))],
    ...[...operations, ...fragments].map(directivesOf),
    ...operations.flatMap(({ variableDefinitions = [] }) => variableDefinitions.map(directivesOf)),
  ]);
}

/** Every fragment is measured once, however often it is spread. One that spreads itself counts as nothing where it does:
 *  validation refuses it. */
function measureWith(fragments: readonly FragmentDefinitionNode[]) {
  const byName = new Map(fragments.map((fragment) => [fragment.name.value, fragment]));
  const measured = new Map<string, DocumentSize>();
  const ofFragment = (name: string): DocumentSize => {
    const known = measured.get(name);
    if (known !== undefined) return known;
    measured.set(name, NOTHING);
    const size = ofSelections(byName.get(name)?.selectionSet);
    measured.set(name, size);
    return size;
  };
  const ofSelections = (set: SelectionSetNode | undefined): DocumentSize =>
    sum((set?.selections ?? []).map((one) => sum([directivesOf(one), ofSelection(one)])));
  const ofSelection = (one: SelectionNode): DocumentSize => {
    if (one.kind === Kind.FRAGMENT_SPREAD) return ofFragment(one.name.value);
    if (one.kind === Kind.INLINE_FRAGMENT) return ofSelections(one.selectionSet);
    const inner = ofSelections(one.selectionSet);
    return {
      fields: inner.fields + 1,
      aliases: inner.aliases + (one.alias === undefined ? 0 : 1),
      directives: inner.directives,
      depth: inner.depth + 1,
    };
  };
  return {
    ofSelections,
    /** False for one that was not spread, or whose name another one has. */
    isMeasured: (fragment: FragmentDefinitionNode) =>
      measured.has(fragment.name.value) && byName.get(fragment.name.value) === fragment,
  };
}

function isOperation(
  definition: DocumentNode['definitions'][number],
): definition is OperationDefinitionNode {
  return definition.kind === Kind.OPERATION_DEFINITION;
}

function isFragment(
  definition: DocumentNode['definitions'][number],
): definition is FragmentDefinitionNode {
  return definition.kind === Kind.FRAGMENT_DEFINITION;
}

function directivesOf(node: { readonly directives?: readonly unknown[] | undefined }) {
  return { ...NOTHING, directives: node.directives?.length ?? 0 };
}

function sum(sizes: readonly DocumentSize[]): DocumentSize {
  return sizes.reduce(
    (total, one) => ({
      fields: total.fields + one.fields,
      aliases: total.aliases + one.aliases,
      directives: total.directives + one.directives,
      depth: Math.max(total.depth, one.depth),
    }),
    NOTHING,
  );
}
