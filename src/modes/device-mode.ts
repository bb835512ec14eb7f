// A mode as a device folds its records by it: compiled from the definition that the server sends, without generating code,
// which pages and phones may forbid.

import { Validator } from '@cfworker/json-schema';
import { jsonFlaw } from '../lib/storable.ts';
import { refuseBlank } from './check-input.ts';
import { contextRules } from './context-rules.ts';
import type { ModeDefinition } from './definition.ts';
import type { DeviceTraining, ExampleEntry } from './device-training.ts';
import type { Check, JsonSchema } from './json-schema.ts';
import type { ExampleMaker, ExampleRule } from './mode.ts';
import { modeOutput } from './output.ts';
import { compileCondition, compileTemplate, type Template } from './template.ts';

/** Makes the examples that the server's mode would make. */
export function deviceExampleMaker(
  { context, prompt }: ModeDefinition,
  { examples, inputSchema, outputSchema }: DeviceTraining,
): ExampleMaker {
  return {
    examples: new Map(
      Object.entries(examples).map(([source, rules]) => [source, rules.map(compileRule)]),
    ),
    checkInput: refuseBlank(inputSchema, schemaCheck(inputSchema, 'input')),
    context: contextRules(context),
    prompt: prompt.map(({ role, content }) => ({ role, content: compileTemplate(content) })),
    output:
      outputSchema === undefined
        ? null
        : modeOutput(outputSchema, schemaCheck(outputSchema, 'output')),
  };
}

function compileRule({ when = 'true', input, target }: ExampleEntry): ExampleRule {
  const fields = Object.entries(input).map(([name, text]): [string, Template] => [
    name,
    compileTemplate(text),
  ]);
  return {
    when: compileCondition(when),
    input: Object.fromEntries(fields),
    target: compileTemplate(target),
  };
}

function schemaCheck(schema: JsonSchema, root: string): Check {
  const validator = new Validator(schema, '7');
  return (value) => {
    const { valid, errors } = validator.validate(value);
    if (valid) return jsonFlaw(value, root);
    return errors.at(-1)?.error ?? `${root} does not fit`;
  };
}
