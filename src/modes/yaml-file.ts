// A YAML (or JSON) file as a value that remembers on which line each part stands.

import { readFile } from 'node:fs/promises';
import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { Json } from '../lib/canonical-json.ts';
import { ModeFileError } from './mode-file-error.ts';

/** Keys and indices from the root of the file. */
export type Path = readonly (string | number)[];

/** A parsed file. */
export interface YamlFile {
  readonly file: string;
  readonly value: Json;
  /** The line of the key or item at the path, or of the nearest one above it. From 1. */
  lineOf(path: Path): number;
  /** Where line `textLine` (from 0) of the text at the path stands. Only a block scalar has lines of its own. From 1. */
  textLineOf(path: Path, textLine: number): number;
}

/** Reads and parses a file; throws ModeFileError when it is not YAML. */
export async function readYamlFile(file: string): Promise<YamlFile> {
  const lines = new LineCounter();
  const document = parseDocument(await readFile(file, 'utf8'), { lineCounter: lines });
  const [error] = document.errors;
  if (error !== undefined) {
    const line = error.linePos?.[0].line ?? 1;
    throw new ModeFileError(error.message.split('\n')[0] ?? '', { file, line, cause: error });
  }
  const lineAt = (offset: number | undefined) => lines.linePos(offset ?? 0).line;
  return {
    file,
    value: document.toJS() as Json,
    lineOf: (path) => lineAt(startOf(document, path)),
    textLineOf(path, textLine) {
      const node = document.getIn(path, true);
      if (!isScalar(node)) return lineAt(startOf(document, path));
      const header = lineAt(node.range?.[0]);
      return node.type?.startsWith('BLOCK') ? header + 1 + textLine : header;
    },
  };
}

/** The offset of the key or item at the path, or of the nearest one above it. */
function startOf(document: Document, path: Path): number | undefined {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0];
  for (const step of path) {
    const found = stepInto(node, step);
    if (found === null) break;
    offset = found.offset ?? offset;
    node = found.node;
  }
  return offset;
}

function stepInto(node: unknown, step: string | number) {
  if (isMap(node)) {
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
    return pair === undefined
      ? null
      : { offset: (pair.key as Node).range?.[0], node: pair.value as unknown };
  }
  if (!isSeq(node)) return null;
  const item = node.items[Number(step)];
  return item === undefined ? null : { offset: (item as Node).range?.[0], node: item as unknown };
}
