// What an app's code generator makes of the schema and the sample operations: GraphQL Code Generator's client preset, and
// the TypeScript compiler on its output.

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { preset } from '@graphql-codegen/client-preset';
import { codegen } from '@graphql-codegen/core';
import { buildSchema, parse } from 'graphql';
import ts from 'typescript';
import { afterAll, beforeAll, expect, it } from 'vitest';

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** What an app does with the generated types; the lines that must not compile say so. */
const USE = `
import type { ResultOf, VariablesOf } from '@graphql-typed-document-node/core';
import { AdapterEventsDocument, CompleteDocument, PushChangesDocument } from './gql/graphql';
type Answer = ResultOf<typeof CompleteDocument>;
export const textOf = (answer: Answer): string => answer.complete.text;
// @ts-expect-error the answer of the bare base model has no adapter
export const versionOf = (answer: Answer): number => answer.complete.adapter.version;
export const question: VariablesOf<typeof CompleteDocument> = { input: { mode: 'subject', input: { body: 'Hi' } } };
// @ts-expect-error there is no question without a mode
export const noQuestion: VariablesOf<typeof CompleteDocument> = { input: { input: {} } };
export function gapOf({ pushChanges }: ResultOf<typeof PushChangesDocument>): number | null {
  return pushChanges.__typename === 'PushGap' ? pushChanges.expectedMutationId : null;
}
export function cursorOf({ adapterEvents }: ResultOf<typeof AdapterEventsDocument>): string | null {
  return adapterEvents.__typename === 'ResyncRequired' ? null : adapterEvents.cursor;
}
`;

let folder = '';
beforeAll(async () => {
  // inside the repository, where the packages that the output imports are found
  await mkdir(at('node_modules/.cache'), { recursive: true });
  folder = await mkdtemp(at('node_modules/.cache/codegen-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('makes types of every sample operation that compile, and hold apps to the schema', async () => {
  const files = await generate();
  expect(files.map((file) => file.slice(folder.length))).toContain('/gql/graphql.ts');
  const use = join(folder, 'use.ts');
  await writeFile(use, USE);
  const program = ts.createProgram([use, ...files], {
    ...{ strict: true, noEmit: true, skipLibCheck: true, types: [] },
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
  });
  const problems = ts.getPreEmitDiagnostics(program);
  expect(
    problems.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' ')),
  ).toEqual([]);
});

/** Runs the generator as its command line does; returns the files. */
async function generate(): Promise<string[]> {
  const text = await readFile(at('schema/schema.graphql'), 'utf8');
  const operations = await readdir(at('docs/clients/operations'));
  const documents = await Promise.all(
    operations.map(async (location) => {
      const rawSDL = await readFile(at(`docs/clients/operations/${location}`), 'utf8');
      return { location, rawSDL, document: parse(rawSDL) };
    }),
  );
  const sections = await preset.buildGeneratesSection({
    ...{ documents, schema: parse(text), schemaAst: buildSchema(text) },
    ...{ presetConfig: {}, plugins: [], pluginMap: {} },
    baseOutputDir: join(folder, 'gql/'),
    // as docs/clients/README.md says
    config: { scalars: { DateTime: 'string', Cursor: 'string', JSON: 'unknown' } },
  });
  for (const section of sections) {
    await mkdir(dirname(section.filename), { recursive: true });
    await writeFile(section.filename, await codegen(section));
  }
  return sections.map(({ filename }) => filename);
}
