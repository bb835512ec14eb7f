// On which line of a template a fault is. The Jinja library reports no positions, so the template is taken apart into its
// tags and each is looked at alone.

import { compileTemplate } from './template.ts';

const EXPRESSION = /\{\{.*?\}\}/gs;
const STATEMENT = /\{%-?\s*(\w+)/g;
const OPENERS = ['if', 'for', 'macro', 'call', 'filter'];

/** The line (from 0) of the first fault in a template that does not compile; 0 where none can be told. */
export function faultyLine(text: string): number {
  const offset = brokenExpression(text) ?? unclosedTag(text) ?? unbalancedBlock(text) ?? 0;
  return lineAt(text, offset);
}

/** The line (from 0) on which a template first names `path`, such as `record.subjct`. */
export function lineNaming(text: string, path: string): number {
  const name = new RegExp(`\\b${path.replaceAll('.', '\\s*\\.\\s*')}\\b`);
  return lineAt(text, Math.max(text.search(name), 0));
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length - 1;
}

function compiles(text: string): boolean {
  try {
    compileTemplate(text);
    return true;
  } catch {
    return false;
  }
}

function brokenExpression(text: string): number | undefined {
  return [...text.matchAll(EXPRESSION)].find(([tag]) => !compiles(tag))?.index;
}

function unclosedTag(text: string): number | undefined {
  const closers: Readonly<Record<string, string>> = { '{{': '}}', '{%': '%}' };
  const tags = [...text.matchAll(/\{\{|\{%|\}\}|%\}/g)];
  const open = tags.find(([tag], i) => tag in closers && tags[i + 1]?.[0] !== closers[tag]);
  return open?.index;
}

/** An end without its beginning, a beginning without its end, or a statement that Jinja does not have. */
function unbalancedBlock(text: string): number | undefined {
  const open: { name: string; index: number }[] = [];
  for (const { 1: name = '', index } of text.matchAll(STATEMENT)) {
    if (OPENERS.includes(name)) open.push({ name, index });
    else if (name.startsWith('end')) {
      if (open.pop()?.name !== name.slice(3)) return index;
    } else if (!['else', 'elif', 'set', 'break', 'continue'].includes(name)) return index;
  }
  return open.at(-1)?.index;
}
