// One file of `modes/` as a Mode. Whatever could go wrong with it later goes wrong here: shape, names of sources and
// fields, templates, and a trial of each template on made-up records.

import { basename, dirname, resolve } from 'node:path';
import { canonicalJson, type Json } from '../lib/canonical-json.ts';
import { sha256 } from '../lib/sha256.ts';
import { LORA_MODULES } from '../model/lora/lora.ts';
import { refuseBlank } from './check-input.ts';
import type { DeviceTraining, ExampleEntry } from './device-training.ts';
import type { JsonSchema } from './json-schema.ts';
import type { ContextRule, ExampleRule, Mode } from './mode.ts';
import { ModeFileError } from './mode-file-error.ts';
import {
  GATE_DEFAULTS,
  INCREMENTAL_DEFAULTS,
  MODE_FILE_SCHEMA,
  type ModeFile,
  PREFERENCE_DEFAULTS,
} from './mode-file-schema.ts';
import { type ModeOutput, modeOutput } from './output.ts';
import { compileFaultFinder } from './schema-check.ts';
import { atPath, compileSchemaAt, type Source } from './source.ts';
import { compileConditionAt, compileTemplateAt, type TemplateSite } from './template-site.ts';
import { type Path, readYamlFile, type YamlFile } from './yaml-file.ts';

const findFault = compileFaultFinder(MODE_FILE_SCHEMA, 'mode');

/** What the parts of a mode are made from. */
interface Draft {
  readonly yaml: YamlFile;
  readonly file: ModeFile;
  readonly sources: ReadonlyMap<string, Source>;
}

/** Loads `modes/<key>.yaml`. Throws ModeFileError. */
export async function loadMode(path: string, sources: ReadonlyMap<string, Source>): Promise<Mode> {
  const yaml = await readYamlFile(path);
  const fault = findFault(yaml.value);
  if (fault !== null) fail(yaml, fault.path, fault.reason);
  const file = yaml.value as unknown as ModeFile;
  const draft = { yaml, file, sources };
  checkKey(draft);
  checkSources(draft);
  checkTrainsOn(draft);
  const { key, title, description, objective, trigger, decode } = file;
  const { where: trainsOn = 'server', ...training } = file.training;
  const { context = {}, prompt } = file;
  const { targets, ...size } = file.lora;
  const lora = { ...size, modules: targets === 'all' ? LORA_MODULES : targets };
  const output = readOutput(draft);
  const shape = output === null ? {} : { output: output.shape };
  const choices = {
    gate: { ...GATE_DEFAULTS, ...file.gate },
    incremental: { ...INCREMENTAL_DEFAULTS, ...file.incremental },
    preferences: { ...PREFERENCE_DEFAULTS, ...file.preferences },
  };
  const onDevice = trainsOn === 'server' ? {} : { training: deviceTraining(file, choices) };
  return {
    ...{ key, title, description, objective, trigger, training, trainsOn, decode },
    ...choices,
    sources: file.sources,
    checkInput: refuseBlank(file.input, compileSchemaAt(yaml, ['input'], file.input, 'input')),
    context: readContext(draft),
    prompt: readPrompt(draft),
    examples: readExamples(draft),
    lora,
    definition: { context, prompt, lora, decode, ...shape, ...onDevice },
    output,
    shippedAdapter: file.shippedAdapter ? resolve(dirname(path), file.shippedAdapter) : null,
    shapeSha256: shapeOf(file),
  };
}

function fail(yaml: YamlFile, path: Path, reason: string): never {
  throw new ModeFileError(reason, { file: yaml.file, line: yaml.lineOf(path) });
}

function checkKey({ yaml, file }: Draft): void {
  const expected = basename(yaml.file, '.yaml');
  if (file.key !== expected) {
    fail(yaml, ['key'], `key is "${file.key}", but the file's name says "${expected}"`);
  }
}

function checkSources({ yaml, file, sources }: Draft): void {
  for (const [i, source] of file.sources.entries()) {
    if (sources.has(source)) continue;
    const known = [...sources.keys()].join(', ');
    fail(yaml, ['sources', i], `names the unknown source "${source}"; known sources: ${known}`);
  }
}

/** Ratings are kept by the server, so that a device has no preferences to learn. */
function checkTrainsOn({ yaml, file }: Draft): void {
  const { where = 'server' } = file.training;
  if (where === 'server' || file.objective === 'SFT') return;
  const reason = `a mode that trains on ${where === 'both' ? 'devices too' : 'devices'} has the objective SFT`;
  fail(yaml, ['training', 'where'], reason);
}

function deviceTraining(
  file: ModeFile,
  choices: Pick<DeviceTraining, 'gate' | 'incremental' | 'preferences'>,
): DeviceTraining {
  const { where, ...recipe } = file.training;
  return {
    where: where === 'device' ? 'device' : 'both',
    sources: file.sources,
    examples: file.examples,
    inputSchema: file.input,
    ...(file.output && { outputSchema: file.output.schema }),
    objective: 'SFT',
    recipe,
    ...choices,
  };
}

/** The schema of a source that the mode declares. */
function declaredSchema(draft: Draft, source: string, path: Path): JsonSchema {
  const schema = draft.sources.get(source)?.schema;
  if (schema !== undefined && draft.file.sources.includes(source)) return schema;
  return fail(
    draft.yaml,
    path,
    `uses the source "${source}", which is not among the mode's sources`,
  );
}

function readContext(draft: Draft): readonly ContextRule[] {
  return Object.entries(draft.file.context ?? {}).map(([name, entry]) => {
    const path = ['context', name];
    if (['input', 'record'].includes(name))
      fail(draft.yaml, path, `context cannot be named "${name}"`);
    const fields = declaredSchema(draft, entry.source, [...path, 'source']).properties;
    const field = (fields as Readonly<Record<string, JsonSchema>> | undefined)?.[entry.where];
    if (field?.type !== 'string') {
      fail(draft.yaml, [...path, 'where'], `"${entry.where}" is no text field of ${entry.source}`);
    }
    const site = {
      yaml: draft.yaml,
      path: [...path, 'equals'],
      scope: { input: draft.file.input },
    };
    const equals = compileTemplateAt(site, entry.equals);
    return { name, source: entry.source, field: entry.where, equals };
  });
}

/** A stop string could cut the JSON anywhere, so there is none beside a schema. */
function readOutput({ yaml, file }: Draft): ModeOutput | null {
  if (file.output === undefined) return null;
  const { schema } = file.output;
  if (file.decode.stop.length > 0)
    fail(yaml, ['decode', 'stop'], 'an answer of a schema ends by itself: stop must be []');
  const path = ['output', 'schema'];
  const check = compileSchemaAt(yaml, path, schema, 'output');
  return atPath(yaml, path, () => modeOutput(schema, check));
}

function readPrompt(draft: Draft): Mode['prompt'] {
  const context = Object.entries(draft.file.context ?? {}).map(
    ([name, { source }]) => [name, draft.sources.get(source)?.schema ?? {}] as const,
  );
  const scope = { input: draft.file.input, ...Object.fromEntries(context) };
  return draft.file.prompt.map(({ role, content }, i) => {
    const site = { yaml: draft.yaml, path: ['prompt', i, 'content'], scope };
    return { role, content: compileTemplateAt(site, content) };
  });
}

function readExamples(draft: Draft): Mode['examples'] {
  const entries = Object.entries(draft.file.examples).map(([source, rules]) => {
    const path = ['examples', source];
    const scope = { record: declaredSchema(draft, source, path) };
    const read = (rule: ExampleEntry, i: number) =>
      readRule(draft, { yaml: draft.yaml, path: [...path, i], scope }, rule);
    return [source, rules.map(read)] as const;
  });
  return new Map(entries);
}

function readRule(draft: Draft, site: TemplateSite, rule: ExampleEntry): ExampleRule {
  const when = compileConditionAt({ ...site, path: [...site.path, 'when'] }, rule.when ?? 'true');
  const at = (...steps: string[]) => ({ ...site, path: [...site.path, ...steps], when });
  checkInputFields(draft, at('input').path, rule);
  const input = Object.entries(rule.input).map(
    ([name, text]) => [name, compileTemplateAt(at('input', name), text)] as const,
  );
  return {
    when,
    input: Object.fromEntries(input),
    target: compileTemplateAt(at('target'), rule.target),
  };
}

function checkInputFields({ yaml, file }: Draft, path: Path, rule: ExampleEntry): void {
  const known = Object.keys(file.input.properties as object);
  const unknown = Object.keys(rule.input).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    fail(
      yaml,
      [...path, unknown],
      `"${unknown}" is no field of the mode's input (${known.join(', ')})`,
    );
  }
  const required = (file.input.required ?? []) as readonly string[];
  const missing = required.find((name) => !Object.hasOwn(rule.input, name));
  if (missing !== undefined) fail(yaml, path, `the mode's input needs "${missing}"`);
}

function shapeOf({ input, context, prompt, examples, output }: ModeFile): string {
  const shape = { input, context: context ?? {}, prompt, examples, ...(output && { output }) };
  return sha256(canonicalJson(shape as unknown as Json));
}
