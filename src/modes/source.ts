import { basename } from 'node:path';
import { type Check, type JsonSchema, SchemaError } from './json-schema.ts';
import { ModeFileError } from './mode-file-error.ts';
import { compileSchema } from './schema-check.ts';
import { type Path, readYamlFile, type YamlFile } from './yaml-file.ts';

/** A kind of user data and the shape of its records. */
export interface Source {
  readonly key: string;
  readonly schema: JsonSchema;
  readonly check: Check;
}

/** Loads `modes/sources/<key>.json`. Throws ModeFileError. */
export async function loadSource(file: string): Promise<Source> {
  const json = await readYamlFile(file);
  const schema = json.value as JsonSchema;
  return {
    key: basename(file, '.json'),
    schema,
    check: compileSchemaAt(json, [], schema, 'data'),
  };
}

/** Compiles the schema at a path of a file; a fault in it becomes a ModeFileError with its line. */
export function compileSchemaAt(
  file: YamlFile,
  path: Path,
  schema: JsonSchema,
  root: string,
): Check {
  return atPath(file, path, () => compileSchema(schema, root));
}

/** What `work` makes of the schema at a path of a file; a fault in the schema becomes a ModeFileError with its line. */
export function atPath<T>(file: YamlFile, path: Path, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof SchemaError)) throw cause;
    const line = file.lineOf([...path, ...cause.path]);
    const what = [...path, ...cause.path].join('.') || 'the file';
    throw new ModeFileError(`${what} ${cause.message}`, { file: file.file, line, cause });
  }
}
