// Whether a template names only what it will be given. Jinja renders an unknown name as nothing, so that a typo in a
// mode's file would silently train on empty prompts.

import { Template as JinjaTemplate } from '@huggingface/jinja';
import type { JsonSchema } from './json-schema.ts';
import type { Scope } from './sample.ts';

/** Names that every template has. No clock: a dataset is a function of records alone. */
const GLOBALS = ['true', 'false', 'none', 'True', 'False', 'None', 'range', 'namespace', 'loop'];

/** A node of the parsed template; its other fields hold child nodes. */
interface TemplateNode {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** A name that the template is not given. */
export interface UnknownName {
  /** As the template has it, such as `record.subjct`. */
  readonly path: string;
  readonly known: readonly string[];
}

/** The first name or field that a template uses and the scope lacks; null when there is none. */
export function unknownName(templateText: string, scope: Scope): UnknownName | null {
  const program = new JinjaTemplate(templateText).parsed as unknown as TemplateNode;
  const nodes = [...walk(program)];
  const declared = new Set([...GLOBALS, ...nodes.flatMap(declaredBy)]);
  for (const node of nodes) {
    const unknown = unknownIn(node, scope, declared);
    if (unknown !== null) return unknown;
  }
  return null;
}

function unknownIn(
  node: TemplateNode,
  scope: Scope,
  declared: ReadonlySet<string>,
): UnknownName | null {
  if (node.type === 'Identifier') {
    const name = String(node.value);
    if (Object.hasOwn(scope, name) || declared.has(name)) return null;
    return { path: name, known: Object.keys(scope) };
  }
  if (node.type !== 'MemberExpression' || node.computed === true) return null;
  const object = node.object as TemplateNode;
  const schema = schemaAt(object, scope);
  const field = String((node.property as TemplateNode).value);
  if (schema?.type !== 'object' || schema.additionalProperties !== false) return null;
  const known = Object.keys((schema.properties ?? {}) as object);
  return known.includes(field) ? null : { path: `${pathText(object)}.${field}`, known };
}

/** The schema of the value that an expression names; null where it cannot be told. */
function schemaAt(node: TemplateNode, scope: Scope): JsonSchema | null {
  if (node.type === 'Identifier') return scope[String(node.value)] ?? null;
  if (node.type !== 'MemberExpression' || node.computed === true) return null;
  const parent = schemaAt(node.object as TemplateNode, scope);
  const fields = (parent?.properties ?? {}) as Readonly<Record<string, JsonSchema>>;
  return fields[String((node.property as TemplateNode).value)] ?? null;
}

function pathText(node: TemplateNode): string {
  if (node.type !== 'MemberExpression') return String(node.value);
  return `${pathText(node.object as TemplateNode)}.${String((node.property as TemplateNode).value)}`;
}

/** The names that a statement brings into being. */
function declaredBy(node: TemplateNode): string[] {
  const targets: Record<string, readonly unknown[]> = {
    Set: [node.assignee],
    For: [node.loopvar],
    Macro: [node.name, ...((node.args ?? []) as unknown[])],
  };
  return (targets[node.type] ?? []).flatMap((target) =>
    [...walk(target)].filter(({ type }) => type === 'Identifier').map(({ value }) => String(value)),
  );
}

/** The parts of a node that are no expressions of their own: operators and names of fields, filters and the like. */
const NOT_VISITED: Readonly<Record<string, readonly string[]>> = {
  BinaryExpression: ['operator'],
  UnaryExpression: ['operator'],
  MemberExpression: ['property'],
  FilterExpression: ['filter'],
  FilterStatement: ['filter'],
  TestExpression: ['test'],
  KeywordArgumentExpression: ['key'],
};

/** Every node below (and with) this one, except names that are no variables. */
function* walk(node: unknown): Generator<TemplateNode> {
  if (Array.isArray(node) || node instanceof Map) {
    for (const child of [...node].flat()) yield* walk(child);
    return;
  }
  if (!isNode(node)) return;
  yield node;
  for (const [field, child] of Object.entries(node)) {
    if (!NOT_VISITED[node.type]?.includes(field)) yield* walk(child);
    else if (isNode(child) && child.type === 'CallExpression') yield* walk(child.args);
    else if (field === 'property' && node.computed === true) yield* walk(child);
  }
}

function isNode(value: unknown): value is TemplateNode {
  return typeof value === 'object' && value !== null && 'type' in value;
}
